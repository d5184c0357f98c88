"""Views tied to the ground: each by itself, or along a drive by those before it."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from kdbts_ros.cli.evaluate import _along, _anchored
from kdbts_ros.cli.evaluation_data import Dataset
from kdbts_ros.density.geometry.camera import R_BODY_OPTICAL, Camera, View
from kdbts_ros.density.ground.anchor import Track
from kdbts_ros.density.ground.plane_fit import GroundFit
from kdbts_ros.errors import UserError
from kdbts_ros.evaluation import anchoring
from kdbts_ros.evaluation.anchoring import Anchoring, set_views
from test.density.networks import tiny_scene

SECOND = 1_000_000_000


def view() -> View:
    T = np.eye(4)
    T[:3, :3], T[2, 3] = R_BODY_OPTICAL, 1.65
    image = np.random.default_rng(0).integers(0, 255, (64, 128, 3)).astype(np.uint8)
    return View(image, Camera(128, 64, 80.0, 80.0, 64.0, 32.0), T)


@pytest.fixture
def fits(monkeypatch: pytest.MonkeyPatch) -> list[GroundFit | None]:
    """What the next views see of the ground, one after the other."""
    found: list[GroundFit | None] = []
    monkeypatch.setattr(anchoring, "fit_ground", lambda *_: found.pop(0))
    return found


def test_each_view_is_tied_by_itself(fits: list[GroundFit | None]) -> None:
    scene = tiny_scene()
    for scale in (1.1, 1.2):
        fits.append(GroundFit(scale, 0.0, 0.9))
        set_views(scene, [view()], np.eye(4), anchored=True)
        assert scene.views[0].anchor.scale == pytest.approx(scale, rel=0.003)


def test_along_a_drive_a_view_is_tied_by_those_before_it(fits: list[GroundFit | None]) -> None:
    """The first by itself, later ones by what the filter has of those before."""
    scene, track = tiny_scene(), Track()
    fits += [GroundFit(s, 0.0, 0.9) for s in (1.1, 1.2, 1.2)]
    applied = []
    for k in range(3):
        set_views(scene, [view()], np.eye(4), True, track, k * SECOND)
        applied.append(scene.views[0].anchor.scale)
    assert applied[:2] == pytest.approx([1.1, 1.1], rel=0.003)
    assert applied[2] == pytest.approx(1.1 * (1.2 / 1.1) ** (1 - np.exp(-1 / 0.3)), rel=0.003)


def test_further_views_are_not_the_reference_camera_s(fits: list[GroundFit | None]) -> None:
    scene, track = tiny_scene("mvbts"), Track()
    fits += [GroundFit(1.1, 0.0, 0.9), GroundFit(1.25, 0.0, 0.9)]
    other = dataclasses.replace(view(), T_world_cam=view().T_world_cam.copy())
    set_views(scene, [view(), other], np.eye(4), True, track, 0)
    assert track.anchor.scale == pytest.approx(1.1, rel=0.003)
    assert [v.anchor.scale for v in scene.views] == pytest.approx([1.1, 1.25], rel=0.003)


def test_what_has_no_order_cannot_be_filtered() -> None:
    assert _along(Anchoring.FILTERED, Dataset.KITTI_RAW) is Anchoring.FILTERED
    assert _along(Anchoring.ON, Dataset.SYNTHETIC) is Anchoring.ON
    with pytest.raises(UserError, match="needs a drive"):
        _along(Anchoring.FILTERED, Dataset.SYNTHETIC)
    with pytest.raises(UserError, match="is for depth"):
        _anchored(Anchoring.FILTERED, [])
