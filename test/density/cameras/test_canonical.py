"""The canonical camera: geometry of the warp, depth back in the real camera, tables kept."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kdbts_ros.datasets.synthetic.rig import mount, training_camera
from kdbts_ros.density.cameras.adapter import CameraAdapter
from kdbts_ros.density.cameras.canonical import Canonical
from kdbts_ros.density.cameras.lenses import BrownConrady, Equidistant, Lens, Mei
from kdbts_ros.density.cameras.rectify import (
    RawImage,
    Warp,
    close_positions,
    positions,
    straight_camera,
)
from kdbts_ros.density.cameras.training_camera import (
    BadMount,
    Mounting,
    TrainingCamera,
    height_scale,
)
from kdbts_ros.density.engines.answers import DepthMap
from kdbts_ros.density.geometry.camera import Camera, View, inverse, transform
from kdbts_ros.errors import UserError
from test.shared_data import SHARED

SIZE = (320, 96)
TRAINING = TrainingCamera()
FISHEYE = Lens(Camera(640, 480, 230.0, 230.0, 320.0, 240.0), Equidistant((0.02, -0.003, 0.0, 0.0)))
WIDE = Lens(Camera(640, 360, 224.0, 224.0, 320.0, 180.0))
BENT = Lens(Camera(640, 480, 400.0, 400.0, 322.0, 238.0), BrownConrady((-0.3, 0.1, 0.001, 0, 0)))

tilts = st.floats(-0.5, 0.5)
heights = st.floats(0.4, 4.0)


def painted(lens: Lens, T_world_cam: np.ndarray) -> np.ndarray:
    """A picture in which each pixel's colour names the world direction it looks along."""
    u, v = np.meshgrid(np.arange(lens.camera.width) + 0.5, np.arange(lens.camera.height) + 0.5)
    rays = np.nan_to_num(lens.unproject(np.stack([u, v], -1))) @ T_world_cam[:3, :3].T
    return np.rint((rays + 1) * 127.5).astype(np.uint8)


@given(yaw=st.floats(-3, 3), pitch=tilts, roll=st.floats(-3, 3), height=heights)
def test_the_virtual_camera_is_level_and_keeps_the_yaw(yaw, pitch, roll, height):
    T_base_cam = mount((0.3, -0.2, height), yaw, pitch, roll)
    mounting = Mounting.of(T_base_cam, TRAINING)
    R_base_level = T_base_cam[:3, :3] @ mounting.R_cam_level
    np.testing.assert_allclose(R_base_level, mount((0, 0, 0), yaw)[:3, :3], atol=1e-9)
    assert mounting.height == pytest.approx(height)


def test_a_training_camera_that_looked_down_is_met_looking_down():
    training = TrainingCamera(pitch=0.1)
    mounting = Mounting.of(mount((0, 0, 1.5), pitch=0.1), training)
    assert mounting.tilt == pytest.approx(0, abs=1e-7)


@pytest.mark.parametrize("lens", [FISHEYE, WIDE, BENT], ids=["fisheye", "wide", "bent"])
@settings(max_examples=4)
@given(pitch=st.floats(-0.25, 0.25), roll=st.floats(-0.4, 0.4))
def test_every_pixel_shows_the_direction_it_claims(lens, pitch, roll):
    T_base_cam = mount((0.0, 0.0, 1.65), 0.4, pitch, roll)
    T_world_cam = mount((5.0, 6.0, 1.65), 1.2, pitch, roll)
    view = Canonical.build(lens, Mounting.of(T_base_cam, TRAINING), TRAINING, SIZE).view(
        painted(lens, T_world_cam), T_world_cam
    )
    claimed = painted(Lens(view.camera), view.T_world_cam)
    valid = np.ones(SIZE[::-1], bool) if view.valid is None else view.valid
    factor = view.camera.width // SIZE[0]
    shown = valid.repeat(factor, 0).repeat(factor, 1)
    assert shown.any()
    # An edge pixel may repeat its neighbour.
    error = np.abs(view.image.astype(int) - claimed)[shown]
    assert np.percentile(error, 99.9) <= 3
    np.testing.assert_allclose(view.T_world_cam[:3, 3], T_world_cam[:3, 3])


def test_nothing_is_invented_outside_the_view():
    narrow = Lens(Camera(640, 360, 900.0, 900.0, 320.0, 180.0))
    adapter = CameraAdapter(TRAINING, SIZE)
    view = adapter.view(
        np.full((360, 640, 3), 200, np.uint8), narrow, mount((0, 0, 1.65)), np.eye(4)
    )
    assert (view.image == 200).all()
    assert view.valid is not None
    # The middle 39 of 81 degrees across, 23 of 29 upright.
    assert 0.28 < view.valid.mean() < 0.36
    assert not view.valid[:, 0].any()


@settings(max_examples=20)
@given(pitch=st.floats(-0.3, 0.3), roll=st.floats(-0.3, 0.3))
def test_depth_returns_to_the_frame_of_the_real_camera(pitch, roll):
    T_base_cam = mount((0.0, 0.0, 1.65), 0.2, pitch, roll)
    table = Canonical.build(WIDE, Mounting.of(T_base_cam, TRAINING), TRAINING, SIZE)
    view = table.view(np.zeros((360, 640, 3), np.uint8), T_base_cam)
    # A wall 12 m ahead of the level camera: constant depth there, a slope in the real one.
    depth = np.full(SIZE[::-1], 12.0, np.float32)
    found = DepthMap(
        depth, depth, np.ones_like(depth), view.camera.resized(*SIZE), view.valid, view.own
    )
    published, camera = found.published()
    known = np.isfinite(published)
    assert known.any()
    xyz = camera.rays() * published[..., None]
    in_view = transform(inverse(view.T_world_cam) @ T_base_cam, xyz[known])
    np.testing.assert_allclose(in_view[:, 2], 12.0, atol=1e-4)


def test_published_depth_of_an_unwarped_view_is_its_own():
    depth = np.full((4, 8), 5.0, np.float32)
    camera = Camera(8, 4, 8.0, 8.0, 4.0, 2.0)
    published, same = DepthMap(depth, depth, np.ones_like(depth), camera).published()
    assert same is camera
    assert (published == 5).all()


@pytest.mark.parametrize("lens", [FISHEYE, BENT], ids=["fisheye", "bent"])
def test_a_straight_camera_sees_only_what_the_lens_sees(lens):
    camera = straight_camera(lens)
    uv = positions(lens, camera, np.eye(3))
    assert lens.inside(uv).all()
    # The largest: some edge pixel is close to the lens's own edge, or to the widest angle.
    limit = np.abs(uv - [0, 0]).min(), np.abs(uv - [640, 480]).min()
    widest = np.abs(camera.rays()).max() > np.tan(np.radians(59))
    assert min(limit) < 2 or widest


def test_auto_leaves_the_training_camera_alone():
    adapter = CameraAdapter(TRAINING, SIZE)
    camera = Camera(1242, 375, 721.5, 721.5, 610.0, 173.3)
    image = np.zeros((375, 1242, 3), np.uint8)
    level = mount((0.0, 0.0, 1.6))
    view = adapter.view(image, Lens(camera), level, np.eye(4))
    assert view.image is image
    assert (view.scale, view.valid, view.own) == (1.0, None, None)
    assert adapter.concerns(Lens(camera), level) == []
    for T_base_cam in (mount((0, 0, 1.65), pitch=0.05), mount((0, 0, 1.0))):
        assert adapter.adapts(Lens(camera), T_base_cam)
    assert not CameraAdapter(TRAINING, SIZE, scale_height=False).adapts(
        Lens(camera), mount((0, 0, 1.0))
    )
    assert adapter.adapts(Lens(camera, BrownConrady((-0.3, 0.1, 0, 0))), level)
    assert CameraAdapter(TRAINING, SIZE, "on").adapts(Lens(camera), level)


def test_off_straightens_and_says_what_that_costs():
    adapter = CameraAdapter(TRAINING, SIZE, "off")
    T_base_cam = mount((0.0, 0.0, 0.8), pitch=0.2)
    view = adapter.view(np.zeros((480, 640, 3), np.uint8), FISHEYE, T_base_cam, T_base_cam)
    assert view.camera == straight_camera(FISHEYE)
    np.testing.assert_array_equal(view.T_world_cam, T_base_cam)
    (sentence,) = adapter.concerns(FISHEYE, T_base_cam)
    assert "tilt 11.5 degrees" in sentence and "0.80 m" in sentence


def test_tables_are_rebuilt_only_for_what_matters():
    adapter = CameraAdapter(TRAINING, SIZE)
    image = np.zeros((360, 640, 3), np.uint8)

    def view(lens: Lens, **angles: float) -> View:
        T = mount((0.0, 0.0, 1.65), **angles)
        return adapter.view(image, lens, T, T)

    view(WIDE, pitch=0.1)
    turned = view(WIDE, yaw=2.0, pitch=0.1 + np.radians(0.1))
    assert adapter.tables_built == 1
    # The kept table is a tenth of a degree off level, and its pose says so.
    level = mount((0.0, 0.0, 1.65), yaw=2.0)
    off = np.degrees(np.arccos(np.clip(turned.T_world_cam[:3, 2] @ level[:3, 2], -1, 1)))
    assert off == pytest.approx(0.1, abs=1e-3)
    # About its axis a camera may turn further: it costs less.
    view(WIDE, pitch=0.1, roll=np.radians(0.4))
    assert adapter.tables_built == 1
    view(WIDE, pitch=0.12)
    view(Lens(Camera(640, 360, 225.0, 224.0, 320.0, 180.0)), pitch=0.1)
    assert adapter.tables_built == 3
    view(WIDE, pitch=0.1)
    assert adapter.tables_built == 3


@pytest.mark.parametrize("lens", [WIDE, BENT], ids=["wide", "bent"])
def test_a_base_that_rocks_needs_few_tables_and_points_stay_where_they_are(lens):
    """A hundred frames of a base that rolls, pitches and heaves: every table that is used shows a
    point of the world where the pose of its view says, to a sixteenth of a pixel of the lens."""
    adapter = CameraAdapter(TRAINING, SIZE, "on")
    image = np.zeros((lens.camera.height, lens.camera.width, 3), np.uint8)
    point = np.array([9.0, 0.8, 1.2])
    frames, scales, furthest = set(), set(), 0.0
    for i in range(100):
        angles = {
            "pitch": 0.05 + np.radians(0.35) * np.sin(0.3 * i),
            "roll": 0.02 * np.sin(0.41 * i),
        }
        T = mount((0.0, 0.0, 1.65 + 0.1 * np.sin(0.7 * i)), **angles)
        shown = adapter.view(image, lens, T, T, deferred=True)
        source = shown.source
        assert isinstance(source, RawImage) and shown.own is not None
        frames.add(shown.own.camera)
        scales.add(round(shown.scale, 9))
        assert shown.scale == pytest.approx(1.65 / T[2, 3], rel=0.021)
        (uv,), _ = shown.camera.project(transform(inverse(shown.T_world_cam), point[None]))
        column, row = np.floor(uv).astype(int)
        # Where the table looks for that pixel, and where the lens shows the pixel's own ray.
        fraction = int(source.warp.table_fraction[row, column])
        looked = (
            source.warp.table_xy[row, column] + np.array([fraction & 31, fraction >> 5]) / 32 + 0.5
        )
        ray = shown.T_world_cam[:3, :3] @ shown.camera.rays()[row, column]
        furthest = max(furthest, np.abs(looked - lens.project(T[:3, :3].T @ ray)).max())
        level = np.degrees(np.arccos(np.clip(shown.T_world_cam[2, 1] * -1, -1, 1)))
        assert level <= 0.55, "the network is shown a camera that is nearly level"
    assert adapter.tables_built <= 9
    assert furthest <= 1 / 16
    assert len(scales) <= 6, "a GPU has a graph for each"
    assert len(frames) == 1, "depth is published in one frame of pixels"


def test_another_height_is_another_scale_of_the_same_table():
    adapter = CameraAdapter(TRAINING, SIZE, "on")
    low, high = (adapter.canonical(WIDE, mount((0, 0, z))) for z in (1.65, 1.2))
    assert adapter.tables_built == 1 and low.warp is high.warp
    assert (low.scale, high.scale) == (1.0, pytest.approx(1.65 / 1.2, rel=0.02))
    assert adapter.canonical(WIDE, mount((0, 0, 1.19))) is high
    assert not adapter.is_training_camera(WIDE.camera, mount((0, 0, 0.0)))


@pytest.mark.parametrize("lens", [FISHEYE, WIDE, BENT, Lens(FISHEYE.camera, Mei(2.2))])
@settings(max_examples=5, deadline=None)
@given(pitch=st.floats(-0.5, 0.5), roll=st.floats(-0.5, 0.5), width=st.integers(50, 300))
def test_tables_are_as_good_as_lenses_asked_at_every_pixel(lens, pitch, roll, width):
    camera = TRAINING.camera(width, width // 3)
    turn = Mounting.of(mount((0, 0, 1.65), 0.0, pitch, roll), TRAINING).R_cam_level
    exact, close = positions(lens, camera, turn), close_positions(lens, camera, turn)
    np.testing.assert_array_equal(np.isnan(close), np.isnan(exact))
    assert np.nanmax(np.abs(close - exact), initial=0) <= 1 / 64


def test_the_edge_of_a_lens_is_found_to_the_pixel():
    """Where the domain ends, nothing lies between two pixels that were asked."""
    folding = Lens(Camera(640, 480, 200.0, 200.0, 320.0, 240.0), BrownConrady((-0.3, 0, 0, 0)))
    camera = TRAINING.camera(333, 111)
    turn = mount((0, 0, 0), yaw=0.6)[:3, :3].T @ mount((0, 0, 0))[:3, :3]
    exact, close = positions(folding, camera, turn), close_positions(folding, camera, turn)
    assert 0.1 < np.isnan(exact).mean() < 0.9
    np.testing.assert_array_equal(np.isnan(close), np.isnan(exact))
    assert np.nanmax(np.abs(close - exact)) <= 1 / 64


def test_height_becomes_scale_within_bounds():
    assert height_scale(0.825, TRAINING) == pytest.approx(2.0)
    assert height_scale(0.1, TRAINING) == 3.0
    assert height_scale(50.0, TRAINING) == pytest.approx(1 / 3)
    assert height_scale(-0.2, TRAINING) == 1.0
    low = Canonical.build(WIDE, Mounting.of(mount((0, 0, 0.2)), TRAINING), TRAINING, SIZE)
    assert any("0.20 m above the ground" in s for s in low.concerns(TRAINING))
    assert (
        Canonical.build(
            WIDE, Mounting.of(mount((0, 0, 0.2)), TRAINING), TRAINING, SIZE, False
        ).scale
        == 1.0
    )


def test_a_fine_image_is_averaged_before_it_is_warped():
    fine = Lens(Camera(3840, 2160, 1400.0, 1400.0, 1920.0, 1080.0))
    table = Canonical.build(fine, Mounting.of(mount((0, 0, 1.65)), TRAINING), TRAINING, SIZE)
    assert table.detail == pytest.approx(1400 / 185.9, rel=0.05)
    assert table.reduction == 1
    assert table.warp.camera.width == 4 * 320
    finer = Lens(fine.camera.resized(7680, 4320))
    assert (
        Canonical.build(finer, Mounting.of(mount((0, 0, 1.65)), TRAINING), TRAINING, SIZE).reduction
        == 3
    )


def test_a_camera_that_sees_nothing_of_it_is_refused():
    with pytest.raises(UserError, match="80 degrees below the horizon"):
        Mounting.of(mount((0, 0, 2.0), pitch=np.radians(80)), TRAINING)
    narrow = Lens(Camera(640, 480, 2000.0, 2000.0, 320.0, 240.0))
    with pytest.raises(UserError, match="sees nothing"):
        Canonical.build(
            narrow, Mounting.of(mount((0, 0, 2.0), pitch=np.radians(50)), TRAINING), TRAINING, SIZE
        )
    covered = Canonical.build(
        narrow, Mounting.of(mount((0, 0, 1.65)), TRAINING), TRAINING, SIZE
    ).concerns(TRAINING)
    assert any("81x29 degrees" in sentence for sentence in covered)


def test_a_checkpoint_names_its_camera():
    camera = TrainingCamera(fx=0.78, fy=2.9, cx=-0.03, cy=0.27, height=1.55, pitch=0.09)
    assert TrainingCamera.from_notes({"camera": camera.note()}) == camera
    assert TrainingCamera.from_notes({"camera": "KITTI-like: 81 degrees wide"}) == TrainingCamera()
    assert TrainingCamera.from_notes({}) == TrainingCamera()
    assert TRAINING.camera(640, 192) == training_camera(640, 192)
    for broken in ('{"fx": "wide"}', '{"focus": 1}', '{"fx": -1}', "{"):
        with pytest.raises(UserError):
            TrainingCamera.from_notes({"camera": broken})


def test_a_camera_for_robots_sees_the_floor_and_is_as_low_as_they_are():
    robots = TrainingCamera.looking(81, 0.38, 0.2, (320, 160))
    camera = robots.camera(320, 160)
    assert camera.fx == pytest.approx(camera.fy), "square pixels"
    assert 2 * np.degrees(np.arctan(160 / camera.fx)) == pytest.approx(81)
    assert camera.cy == pytest.approx(0.38 * 160)
    assert height_scale(0.2, robots) == pytest.approx(1.65 / 0.2)
    assert height_scale(0.1, robots) == robots.max_scale
    assert TrainingCamera.from_notes({"camera": robots.note()}) == robots
    # A note of before there was a bound has the one of then.
    old = '{"fx": 1, "fy": 3, "cx": 0, "cy": 0, "height": 1.65, "pitch": 0}'
    assert TrainingCamera.from_notes({"camera": old}).max_scale == 3.0
    wide = Lens(Camera(640, 480, 320.0, 320.0, 320.0, 240.0))
    low = Mounting.of(mount((0, 0, 0.3), pitch=np.radians(15)), robots)
    assert Canonical.build(wide, low, robots, (320, 160)).concerns(robots) == []
    usual = Canonical.build(wide, low, TRAINING, SIZE).concerns(TRAINING)
    assert any("so distances are off" in sentence for sentence in usual)
    with pytest.raises(UserError, match="max_scale is 1 or more"):
        dataclasses.replace(robots, max_scale=0.5)


def kitti_360_fisheye(path) -> Lens:
    """The lens of an `image_02.yaml`, an OpenCV file of one level of nesting."""
    pairs = (line.split(":", 1) for line in path.read_text().splitlines()[1:] if ":" in line)
    values = {key.strip(): value.strip() for key, value in pairs}
    number = {k: float(v) for k, v in values.items() if v.replace(".", "").strip("-+e0123456789")
              == "" and v}  # fmt: skip
    camera = Camera(
        int(number["image_width"]),
        int(number["image_height"]),
        number["gamma1"],
        number["gamma2"],
        number["u0"] + 0.5,
        number["v0"] + 0.5,
    )
    coefficients = (number["k1"], number["k2"], number["p1"], number["p2"])
    return Lens(camera, Mei(number["xi"], coefficients))


@pytest.mark.parametrize("name", ["image_02", "image_03"])
def test_kitti_360_fisheye_cameras_become_canonical(name):
    path = SHARED / "data" / "kitti_360" / "calibration" / f"{name}.yaml"
    if not path.is_file():
        pytest.skip(f"no KITTI-360 calibration at {path}")
    lens = kitti_360_fisheye(path)
    # A pixel's ray and back, over the whole circle of the image.
    angles = np.linspace(0, 2 * np.pi, 50)
    ring = np.stack([716 + 600 * np.cos(angles), 705 + 600 * np.sin(angles)], -1)
    np.testing.assert_allclose(lens.project(lens.unproject(ring)), ring, atol=1e-4)
    T_base_cam = mount((0.0, 0.8, 1.65), yaw=1.57, pitch=0.02)
    lens = Lens(lens.camera.resized(350, 350), lens.distortion)
    table = Canonical.build(lens, Mounting.of(T_base_cam, TRAINING), TRAINING, SIZE)
    assert table.warp.covered == 1.0
    view = table.view(painted(lens, T_base_cam), T_base_cam)
    error = np.abs(view.image.astype(int) - painted(Lens(view.camera), view.T_world_cam))
    assert np.percentile(error, 99.9) <= 3
    half = Warp.build(lens, straight_camera(lens), np.eye(3))
    assert half.covered == 1.0


@pytest.mark.parametrize("height", [-3.0, 0.0, 0.001, 0.049, 51.0, 1650.0, float("nan")])
@pytest.mark.parametrize("mode", ["auto", "on"])
def test_a_camera_at_no_height_is_refused_before_the_network(mode, height):
    adapter = CameraAdapter(TRAINING, SIZE, mode)
    pose = mount((0.0, 0.0, height))
    image = np.zeros((360, 640, 3), np.uint8)
    with pytest.raises(BadMount, match="m above the ground, z = 0 of the base frame, and the netw"):
        adapter.view(image, WIDE, pose, pose)
    assert adapter.tables_built == 0


@pytest.mark.parametrize("height", [-3.0, 0.0, 0.001, 51.0])
@pytest.mark.parametrize(("mode", "scale_height"), [("off", True), ("auto", False)])
def test_where_heights_are_not_made_up_for_any_will_do(mode, scale_height, height):
    adapter = CameraAdapter(TRAINING, SIZE, mode, scale_height)
    pose = mount((0.0, 0.0, height))
    assert adapter.view(np.zeros((360, 640, 3), np.uint8), WIDE, pose, pose).scale == 1.0
    # Asked for after the map: it must not fail either.
    assert isinstance(adapter.concerns(WIDE, pose), list)


@pytest.mark.parametrize("height", [0.05, 0.3, 1.65, 50.0])
def test_cameras_of_robots_of_any_size_are_taken(height):
    adapter = CameraAdapter(TRAINING, SIZE)
    pose = mount((0.0, 0.0, height))
    view = adapter.view(np.zeros((360, 640, 3), np.uint8), WIDE, pose, pose)
    assert view.scale == pytest.approx(height_scale(height, TRAINING))
