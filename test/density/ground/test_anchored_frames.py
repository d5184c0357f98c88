"""Frames of a pipeline by their ground: the same in every engine, and off is as before."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from kdbts_ros.datasets.synthetic.drive import StreetDrive
from kdbts_ros.density.birds_eye_map import map_around
from kdbts_ros.density.cameras.lenses import Lens
from kdbts_ros.density.ground.anchor import AS_SEEN, Anchor
from kdbts_ros.density.ground.plane_fit import GroundFit
from kdbts_ros.density.maps.grid import CellRule, GridWindow, HeightBand, MapArea
from kdbts_ros.density.pipeline import Pipeline, PipelineSettings
from kdbts_ros.density.scene import SceneCompleter
from kdbts_ros.density.settings import FrameStamp
from kdbts_ros.density.whole_frame import anchored
from kdbts_ros.density.whole_frame.anchored import AnchoredFrames
from kdbts_ros.density.whole_frame.single_view import SingleViewMaps
from test.density.networks import tiny_scene
from test.density.whole_frame.test_single_view_maps import PlainGraph

SECOND = 1_000_000_000
DRIVE = StreetDrive(2_000_000_005, frames=3)
BAND = HeightBand(0.3, 2.0, 0.5)
RULE = CellRule(0.5, "keep")


def view_of(frame: int, scale: float = 1.0):  # type: ignore[no-untyped-def]
    view = DRIVE.frame(frame).views["left"]
    small = view.camera.resized(128, 64)
    return dataclasses.replace(view, source=view.image[:64, :128].copy(), camera=small, scale=scale)


def area(frame: int) -> MapArea:
    T = DRIVE.T_world_base(frame)
    return MapArea(T, GridWindow.around(T[0, 3], T[1, 3], 30.0, 0.5), BAND)


@pytest.fixture
def ground(monkeypatch: pytest.MonkeyPatch) -> list[GroundFit | None]:
    """What the next frames see of the ground, one after the other."""
    fits: list[GroundFit | None] = []
    monkeypatch.setattr(anchored, "fit_ground", lambda *_: fits.pop(0))
    return fits


def frames_of(scene: SceneCompleter, whole: bool) -> AnchoredFrames:
    capture = SingleViewMaps(scene, lambda plan: PlainGraph(scene, plan)) if whole else None
    return AnchoredFrames(scene, capture)


@pytest.mark.parametrize("scale", [1.0, 1.5])
def test_an_anchored_view_is_the_same_world_in_another_measure(scale: float) -> None:
    scene = tiny_scene()
    as_seen = scene.encode(view_of(0, scale))
    tied = as_seen.anchored(Anchor(1.25))
    points = np.array([[8.0, 1.0, 0.5], [12.0, -2.0, 1.0]]) + DRIVE.T_world_base(0)[:3, 3]
    centre = as_seen.T_world_cam[:3, 3]
    scene.use([as_seen])
    sigma, _ = scene.density(points)
    far, nearest = scene.depth_map().depth, scene.visibility()[0]
    scene.use([tied])
    nearer, _ = scene.density(centre + (points - centre) / 1.25)
    np.testing.assert_allclose(nearer, 1.25 * sigma, rtol=1e-4)
    np.testing.assert_allclose(scene.depth_map().depth * 1.25, far, rtol=1e-4)
    np.testing.assert_allclose(scene.visibility()[0] * 1.25, nearest, rtol=1e-5)


def test_a_pitch_turns_the_view_about_its_centre() -> None:
    scene = tiny_scene()
    as_seen = scene.encode(view_of(0))
    tied = as_seen.anchored(Anchor(1.0, float(np.radians(2.0))))
    np.testing.assert_array_equal(tied.T_world_cam[:3, 3], as_seen.T_world_cam[:3, 3])
    # It looks 2 degrees further down.
    assert np.degrees(np.arcsin(-tied.T_world_cam[2, 2])) == pytest.approx(
        np.degrees(np.arcsin(-as_seen.T_world_cam[2, 2])) + 2.0
    )
    assert as_seen.anchored(AS_SEEN) is as_seen


@pytest.mark.parametrize("whole", [False, True], ids=["queried", "whole frame"])
def test_the_first_frame_is_anchored_by_itself_and_later_ones_by_those_before(
    whole: bool, ground: list[GroundFit | None]
) -> None:
    frames = frames_of(tiny_scene(), whole)
    ground += [None, GroundFit(1.1, 0.02, 0.9), GroundFit(0.9, 0.0, 0.9)]
    applied = []
    for frame in range(3):
        stamp = FrameStamp("front", frame * SECOND)
        found, account = frames.look(view_of(frame), area(frame), RULE, stamp, True)
        applied.append((found.encoded().anchor.scale, account.scale))
    assert applied[0][0] == 1 and np.isnan(applied[0][1])
    assert applied[1] == pytest.approx((1.1, 1.1), rel=0.003)
    assert applied[2] == pytest.approx((1.1, 1.1), rel=0.003), "not by its own"
    assert frames.anchor_of("front").scale < 1.0
    frames.forget()
    assert frames.anchor_of("front") is AS_SEEN


@pytest.mark.parametrize("scale", [1.0, 1.4])
def test_a_map_that_comes_along_is_that_of_the_anchored_view(
    scale: float, ground: list[GroundFit | None]
) -> None:
    """One graph serves every anchor: only parameters change."""
    queried, whole = frames_of(tiny_scene(), False), frames_of(tiny_scene(), True)
    for fit in (GroundFit(1.2, 0.03, 0.9), GroundFit(1.2, 0.03, 0.9)):
        ground += [fit, fit]
        stamp = FrameStamp("front", SECOND)
        expected, _ = queried.look(view_of(0, scale), area(0), RULE, stamp, True)
        found, _ = whole.look(view_of(0, scale), area(0), RULE, stamp, True)
        assert found.finished_map is not None
        truth = map_around(queried._scene, *area(0))
        np.testing.assert_allclose(
            found.finished_map.occupancy.probability, truth.probability, atol=2e-3
        )
        np.testing.assert_allclose(found.depth(2).published, expected.depth(2).published, rtol=1e-3)
        apart = np.abs(found.shown_visibility() / expected.shown_visibility() - 1) > 1e-4
        # A ray in thousands whose light ends between two samples goes either way.
        assert apart.mean() < 1e-3


def test_off_asks_nothing_of_the_ground(ground: list[GroundFit | None]) -> None:
    frames = frames_of(tiny_scene(), False)
    found, account = frames.look(view_of(0), area(0), RULE, FrameStamp("front", 0), False)
    assert found.encoded().anchor is AS_SEEN and np.isnan(account.scale)


def test_every_kept_view_keeps_the_anchor_of_its_own_frame(
    tmp_path: Path, ground: list[GroundFit | None]
) -> None:
    ground += [None, GroundFit(1.1, 0.0, 0.9), *[GroundFit(1.2, 0.0, 0.9)] * 3]
    pipeline = Pipeline(PipelineSettings(checkpoint="mvbts", device="cpu", range_m=10.0))
    scales = []
    for frame in range(3):
        moved = np.array(DRIVE.T_world_base(0))
        moved[0, 3] += 2.0 * frame
        view = DRIVE.frame(0).views["left"]
        posed = dataclasses.replace(view, T_world_cam=moved @ DRIVE.rig["left"][1])
        shown = pipeline.view(view.image, Lens(view.camera), posed.T_world_cam, moved)
        result = pipeline.process(shown, moved, frame_stamp=FrameStamp("front", frame * SECOND))
        scales.append(result.ground.scale)
    assert scales[0] == pytest.approx(1.1, rel=0.003)
    assert scales[1] == pytest.approx(1.1, rel=0.003)
    assert scales[2] > 1.15
    kept = sorted(view.anchor.scale for view in pipeline.scene.views)
    assert kept[0] == pytest.approx(1.1, rel=0.003) and kept[-1] == pytest.approx(scales[2])
