"""Frames of a pipeline by their ground: the same in every engine, and off is as before."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from kdbts_ros.datasets.synthetic.drive import StreetDrive
from kdbts_ros.density.birds_eye_map import map_around
from kdbts_ros.density.cameras.lenses import Lens
from kdbts_ros.density.geometry.camera import inverse
from kdbts_ros.density.ground.anchor import AS_SEEN, Anchor, GroundUse
from kdbts_ros.density.ground.band_plane import AS_TOLD, GroundPlane
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
ANCHORED = GroundUse()


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


@pytest.fixture
def planes(monkeypatch: pytest.MonkeyPatch) -> list[GroundPlane | None]:
    """What the next frames see as the ground of the band, one after the other."""
    fits: list[GroundPlane | None] = []
    monkeypatch.setattr(anchored, "fit_band_plane", lambda *_: fits.pop(0))
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
        found, account, _ = frames.look(view_of(frame), area(frame), RULE, stamp, ANCHORED)
        applied.append((found.encoded().anchor.scale, account.scale))
    assert applied[0][0] == 1 and np.isnan(applied[0][1])
    assert applied[1] == pytest.approx((1.1, 1.1), rel=0.003)
    assert applied[2] == pytest.approx((1.1, 1.1), rel=0.003), "not by its own"
    assert frames.anchor_of("front", ANCHORED).scale < 1.0
    frames.forget()
    assert frames.anchor_of("front", ANCHORED) is AS_SEEN


@pytest.mark.parametrize("scale", [1.0, 1.4])
def test_a_map_that_comes_along_is_that_of_the_anchored_view(
    scale: float, ground: list[GroundFit | None]
) -> None:
    """One graph serves every anchor: only parameters change."""
    queried, whole = frames_of(tiny_scene(), False), frames_of(tiny_scene(), True)
    for fit in (GroundFit(1.2, 0.03, 0.9), GroundFit(1.2, 0.03, 0.9)):
        ground += [fit, fit]
        stamp = FrameStamp("front", SECOND)
        expected, _, _ = queried.look(view_of(0, scale), area(0), RULE, stamp, ANCHORED)
        found, _, _ = whole.look(view_of(0, scale), area(0), RULE, stamp, ANCHORED)
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
    asked = area(0)
    off = GroundUse(anchored=False)
    found, account, stands = frames.look(view_of(0), asked, RULE, FrameStamp("front", 0), off)
    assert found.encoded().anchor is AS_SEEN and np.isnan(account.scale)
    assert stands is asked


@pytest.mark.parametrize("whole", [False, True], ids=["queried", "whole frame"])
def test_the_band_follows_what_frames_before_saw(
    whole: bool, ground: list[GroundFit | None], planes: list[GroundPlane | None]
) -> None:
    """The first by itself, later ones by those before, and what follows is not turned as well."""
    frames = frames_of(tiny_scene(), whole)
    ground += [GroundFit(1.1, 0.02, 0.9)] * 3
    ramp = GroundPlane(-0.4, 0.1, 0.0)
    planes += [None, None, ramp, ramp]
    use, asked = GroundUse(anchored=True, followed=True), area(0)
    for frame, expected in enumerate((AS_TOLD, ramp, ramp)):
        stamp = FrameStamp("front", frame * SECOND)
        found, account, stands = frames.look(view_of(0), asked, RULE, stamp, use)
        base = inverse(asked.T_fixed_base) @ stands.T_fixed_base
        assert base[2, 3] == pytest.approx(expected.height)
        assert base[2, 0] / base[0, 0] == pytest.approx(expected.slope_x)
        assert account.pitch == 0 and account.scale == pytest.approx(1.1, rel=0.003)
        if whole:
            assert found.finished_map is not None
            frames._scene.use([found.encoded()])
            truth = map_around(frames._scene, *stands)
            np.testing.assert_allclose(
                found.finished_map.occupancy.probability, truth.probability, atol=2e-3
            )
    frames.forget()
    ground += [None]
    planes += [None]
    assert frames.look(view_of(0), asked, RULE, stamp, use).area is asked


def test_no_scale_is_read_on_a_slope(
    ground: list[GroundFit | None], planes: list[GroundPlane | None]
) -> None:
    """A level frame's scale is held on the slope after it; a slope alone says nothing of scale."""
    frames, use = frames_of(tiny_scene(), False), GroundUse(True, True)
    lower, ramp = GroundPlane(-0.2, 0.0, 0.0), GroundPlane(-0.4, 0.1, 0.0)
    ground += [GroundFit(1.1, 0.0, 0.9), GroundFit(1.3, 0.0, 0.9)]
    planes += [lower, AS_TOLD, ramp]
    for frame in range(2):
        frames.look(view_of(0), area(0), RULE, FrameStamp("front", frame * SECOND), use)
        assert frames.anchor_of("front", use).scale == pytest.approx(1.1, rel=0.003)
    ground += [GroundFit(1.3, 0.0, 0.9)]
    planes += [ramp]
    frames.look(view_of(0), area(0), RULE, FrameStamp("side", 0), use)
    assert frames.anchor_of("side", use) is AS_SEEN


def test_the_band_follows_distances_as_they_are_tied(
    ground: list[GroundFit | None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a plane is fitted to is what the anchored view sees, the first frame's too."""
    seen: list[tuple[float, float]] = []

    def fit(depth: np.ndarray, *rest: object) -> None:
        seen.append((float(depth[-1, 30]), float(rest[2])))  # type: ignore[arg-type]

    monkeypatch.setattr(anchored, "fit_band_plane", fit)
    frames, use = frames_of(tiny_scene(), False), GroundUse(True, True)
    ground += [GroundFit(1.2, 0.0, 0.9)] * 2
    for frame in range(2):
        stamp = FrameStamp("front", frame * SECOND)
        found, _, _ = frames.look(view_of(0), area(0), RULE, stamp, use)
        tied = found.encoded()
        frames._scene.use([tied])
        expected = float(frames._scene.visibility()[0][-1, 30]), tied.scale
        assert seen[-1] == pytest.approx(expected, rel=1e-5)


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
