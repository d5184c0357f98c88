"""Folders of RGB-D cameras: both layouts give one thing, and what is damaged one sentence."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from kdbts_ros.datasets.kitti.files import rigid
from kdbts_ros.datasets.rgbd import numbered, tum
from kdbts_ros.datasets.rgbd.floor import (
    HELD_TILT,
    Surfaces,
    find_floor,
    find_vertical,
    levelled,
    surface_normals,
)
from kdbts_ros.datasets.rgbd.sequence import RgbdSequence, below
from kdbts_ros.density.cameras.lenses import BrownConrady
from kdbts_ros.density.geometry.camera import Array, Camera, inverse, transform
from kdbts_ros.errors import UserError
from test.datasets.box_room import CAMERA, room_depth, room_view
from test.datasets.rgbd_folders import (
    FIRST,
    FRAMES,
    HEIGHT,
    SMALL,
    TILT,
    intrinsics,
    make_numbered,
    make_tum,
    place,
)

# The world of a reconstruction begins with its first camera: nothing in it is level.
TILTED: Array = rigid(Rotation.from_euler("xyz", [1.9, 0.2, -0.4]).as_matrix(), (0.5, -2.0, 1.0))


@pytest.fixture(scope="module")
def tum_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_tum(tmp_path_factory.mktemp("tum") / "walk")


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_numbered(tmp_path_factory.mktemp("scene") / "room", TILTED)


@pytest.mark.parametrize("layout", ["tum_folder", "scene"])
def test_images_depth_and_poses_of_both_layouts(
    layout: str, request: pytest.FixtureRequest
) -> None:
    drive = RgbdSequence(request.getfixturevalue(layout))
    assert drive.frames == tuple(range(FRAMES)) and drive.cameras == ("colour",)
    assert (drive.without_pose, drive.without_depth) == (0, 0)
    assert drive.camera() == CAMERA
    stamps = [drive.stamp_ns(i) for i in drive.frames]
    assert stamps == sorted(set(stamps)) and stamps[0] > 0
    for index, frame in enumerate(drive):
        np.testing.assert_array_equal(frame.views["colour"].image, room_view(place(index)).image)
        told, true = drive.depth(index), room_depth(place(index))
        np.testing.assert_allclose(told[told > 0], true[told > 0], atol=6e-4)
        assert (told[true < 13] > 0).all()
    # Whatever world the files have, the motion is that of the room, and the floor is z = 0.
    moved = inverse(drive.T_world_cam(0)) @ drive.T_world_cam(3)
    np.testing.assert_allclose(moved, inverse(place(0)) @ place(3), atol=1e-4)
    assert drive.floor.share > 0.1
    T_base_cam = inverse(drive.T_world_base(2)) @ drive.T_world_cam(2)
    assert T_base_cam[2, 3] == pytest.approx(HEIGHT, abs=0.02)
    assert np.arcsin(-T_base_cam[2, 2]) == pytest.approx(TILT, abs=0.01)
    np.testing.assert_allclose(T_base_cam[:2, 3], 0, atol=1e-9)
    assert "the camera is 1.2" in drive.floor.sentence


def test_poses_between_those_of_the_motion_capture_are_interpolated(tum_folder: Path) -> None:
    drive = RgbdSequence(tum_folder)
    np.testing.assert_allclose(
        inverse(drive.T_world_cam(0)) @ drive.T_world_cam(1),
        inverse(place(0)) @ place(1),
        atol=1e-5,
    )
    assert drive.stamp_ns(1) == round((FIRST + 0.1) * 1e9)


def test_frames_without_a_pose_or_depth_are_left_out_and_counted(
    tmp_path: Path,
) -> None:
    scene = make_numbered(tmp_path / "scene", np.eye(4))
    sequence = scene / "seq-01"
    (sequence / "frame-000001.pose.txt").unlink()
    (sequence / "frame-000002.pose.txt").write_text("-inf " * 16)
    (sequence / "frame-000003.depth.png").unlink()
    drive = RgbdSequence(scene)
    assert drive.frames == (0, 4, 5)
    assert (drive.without_pose, drive.without_depth) == (2, 1)
    with pytest.raises(UserError, match="frame 1 is not among the 3 selected frames"):
        drive.image(1)

    folder = make_tum(tmp_path / "tum")
    lines = (folder / "groundtruth.txt").read_text().splitlines(keepends=True)
    # The motion capture lost the camera for half a second.
    kept = [line for k, line in enumerate(lines) if not 8 <= k < 30]
    (folder / "groundtruth.txt").write_text("".join(kept))
    lines = (folder / "depth.txt").read_text().splitlines(keepends=True)
    (folder / "depth.txt").write_text("".join(lines[:1] + lines[2:]))
    drive = RgbdSequence(folder)
    assert drive.frames == (1,)
    assert (drive.without_pose, drive.without_depth) == (4, 1)


def test_a_selection_and_a_sequence_by_name(scene: Path) -> None:
    assert RgbdSequence(scene, range(2, 4), sequence="seq-01").frames == (2, 3)
    assert RgbdSequence(scene / "seq-01").frames == tuple(range(FRAMES))
    with pytest.raises(UserError, match="no sequence seq-02; it has seq-01"):
        RgbdSequence(scene, sequence="seq-02")
    with pytest.raises(UserError, match="has no sequence \\.\\./room"):
        RgbdSequence(scene, sequence="../room")
    with pytest.raises(UserError, match="none of the frames asked for has both"):
        RgbdSequence(scene, range(90, 99))


def test_of_several_sequences_one_must_be_named(tmp_path: Path) -> None:
    scene = make_numbered(tmp_path / "a", np.eye(4), SMALL, 1)
    (scene / "seq-01").rename(scene / "seq-02")
    make_numbered(tmp_path / "b", np.eye(4), SMALL, 1)
    (tmp_path / "b" / "seq-01").rename(scene / "seq-01")
    with pytest.raises(UserError, match="name one of seq-01, seq-02 with --sequence"):
        RgbdSequence(scene)


def test_folders_of_something_else_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"is no folder of an RGB-D camera: it needs rgb\.txt"):
        RgbdSequence(tmp_path)
    with pytest.raises(UserError, match="is no folder"):
        RgbdSequence(tmp_path / "gone")


def test_a_kinect_that_the_folder_does_not_describe_is_that_of_the_dataset(
    tmp_path: Path,
) -> None:
    """7-Scenes: depth of another camera than the colour's, of which the poses are as well."""
    vga = Camera(640, 480, 525.0, 525.0, 320.5, 240.5)
    infrared = Camera(640, 480, 585.0, 585.0, 320.5, 240.5)
    scene = make_numbered(tmp_path / "chess", np.eye(4), vga, 1)
    (scene / "camera-intrinsics.txt").unlink()
    T_colour_depth = numbered._T_COLOUR_DEPTH
    T_room_depth = place(0)
    T_room_colour = T_room_depth @ inverse(T_colour_depth)
    depth = np.rint(room_depth(T_room_depth, infrared) * 1000).astype(np.uint16)
    depth[:40] = 65535
    cv2.imwrite(str(scene / "seq-01" / "frame-000000.depth.png"), depth)
    drive = RgbdSequence(scene)
    assert drive.camera() == vga
    told, true = drive.depth(0), room_depth(T_room_colour, vga)
    known = told > 0
    assert 0.5 < known.mean() < 0.95, "the rows without a measurement stay unknown"
    assert np.quantile(np.abs(told - true)[known] / true[known], 0.98) < 0.01
    T_world_cam = drive.T_world_cam(0)
    # How it stands in the room, whatever the direction of x: height and tilt.
    assert T_world_cam[2, 3] == pytest.approx(T_room_colour[2, 3], abs=0.01)
    np.testing.assert_allclose(T_world_cam[2, :3], T_room_colour[2, :3], atol=5e-3)


def test_the_cameras_of_the_benchmark_are_known_by_the_folder(tmp_path: Path) -> None:
    folder = tmp_path / "rgbd_dataset_freiburg1_desk"
    folder.mkdir()
    rig = tum.tum_rig(folder, (640, 480), None)
    assert rig.colour.camera.fx == 517.306408 and rig.colour.camera.cx == 318.643040 + 0.5
    assert isinstance(rig.colour.distortion, BrownConrady)
    assert rig.depth == rig.colour and rig.per_metre == 5000
    folder = tmp_path / "rgbd_dataset_freiburg3_long_office"
    folder.mkdir()
    assert not tum.tum_rig(folder, (640, 480), None).colour.bends
    with pytest.raises(UserError, match=r"does not say its camera.*--intrinsics"):
        tum.tum_rig(tmp_path, (640, 480), None)
    given = tum.tum_rig(tmp_path, (640, 480), (500.0, 501.0, 319.5, 239.5))
    assert given.colour.camera == Camera(640, 480, 500.0, 501.0, 320.0, 240.0)


def test_a_bent_lens_is_straightened_with_its_depth(tmp_path: Path) -> None:
    vga = Camera(640, 480, 517.306408, 516.469215, 319.14304, 255.813989)
    folder = make_tum(tmp_path / "freiburg1_room", vga, 1)
    (folder / "camera-intrinsics.txt").unlink()
    drive = RgbdSequence(folder)
    straight = drive.depth(0)
    lens = tum.tum_rig(folder, (640, 480), None).colour
    # Where a straight pixel's ray enters the bent image, that image has the depth.
    v, u = np.mgrid[40:440:40, 40:600:40]
    at = lens.project(vga.rays()[v, u])
    bent = room_depth(place(0), vga)
    expected = bent[at[..., 1].astype(int), at[..., 0].astype(int)]
    seen = straight[v, u] > 0
    assert seen.mean() > 0.8
    np.testing.assert_allclose(straight[v, u][seen], expected[seen], rtol=0.02)


def _cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-20])


def _text(words: str) -> Callable[[Path], None]:
    def write(path: Path) -> None:
        path.write_text(words)

    return write


def _grey(path: Path) -> None:
    cv2.imwrite(str(path), np.zeros((24, 32), np.uint8))


def _larger(path: Path) -> None:
    cv2.imwrite(str(path), np.ones((48, 64), np.uint16))


TUM_DAMAGE = {
    "no list of depth": ("depth.txt", Path.unlink, r"depth\.txt is missing: unpack"),
    "an empty list": ("rgb.txt", _text("# none\n"), "lists no image"),
    "a list of names": ("rgb.txt", _text("a.png\n"), "line 1 does not begin with a time"),
    "a file elsewhere": ("rgb.txt", _text("1.0 ../x.png\n"), "name of a file below it"),
    "no trajectory": ("groundtruth.txt", Path.unlink, r"groundtruth\.txt is missing"),
    "no pose": ("groundtruth.txt", _text("# none\n"), "has no pose"),
    "half a pose": ("groundtruth.txt", _text("1.0 2 3 4\n"), "line 1 is not a stamp, a place"),
    "no turn": ("groundtruth.txt", _text("1.0 2 3 4 0 0 0 0\n"), "unit quaternion"),
    "nowhere": ("groundtruth.txt", _text("1.0 nan 3 4 0 0 0 1\n"), "unit quaternion"),
    "a camera of letters": ("camera-intrinsics.txt", _text("a b c\n"), "finite numbers"),
    "a camera of a row": ("camera-intrinsics.txt", _text("9 0 1\n"), "3 rows"),
    "no focal length": ("camera-intrinsics.txt", _text("0 0 1\n0 9 1\n0 0 1"), "no camera of"),
}


@pytest.mark.parametrize("damage", TUM_DAMAGE)
def test_damaged_lists_are_refused(tmp_path: Path, damage: str) -> None:
    name, spoil, sentence = TUM_DAMAGE[damage]
    folder = make_tum(tmp_path / "walk", SMALL, 2)
    spoil(folder / name)
    with pytest.raises(UserError, match=sentence) as told:
        RgbdSequence(folder)
    assert "\n" not in str(told.value)


NUMBERED_DAMAGE = {
    "a picture cut off": ("color.png", _cut, "cut short; copy it again"),
    "a depth cut off": ("depth.png", _cut, "cut short; copy it again"),
    "an empty depth": ("depth.png", _text(""), "is empty"),
    "a depth of bytes": ("depth.png", _grey, "no depth image: it has uint8"),
    "a depth of another size": ("depth.png", _larger, "is 64x48, but its camera has 32x24"),
    "no picture": ("color.png", _text("x"), "is not a readable"),
    "a pose of words": ("pose.txt", _text("here"), "not a matrix of 4x4 numbers"),
    "a pose that is none": ("pose.txt", _text("1 " * 16), "does not end with the row 0 0 0 1"),
    "a pose that shears": (
        "pose.txt",
        _text("1 1 0 0 0 1 0 0 0 0 1 0 0 0 0 1"),
        "is no place and direction",
    ),
}


@pytest.mark.parametrize("damage", NUMBERED_DAMAGE)
def test_damaged_frames_are_refused(tmp_path: Path, damage: str) -> None:
    name, spoil, sentence = NUMBERED_DAMAGE[damage]
    scene = make_numbered(tmp_path / "room", np.eye(4), SMALL, 2)
    spoil(scene / "seq-01" / f"frame-000001.{name}")
    with pytest.raises(UserError, match=sentence) as told:
        read_second_frame(scene)
    assert "\n" not in str(told.value)


def read_second_frame(scene: Path) -> None:
    drive = RgbdSequence(scene)
    drive.image(1)
    drive.depth(1)


UP: Array = np.array([0.0, 0, 1])


def level(points: Array, normal: Array = UP, seed: int = 5) -> Surfaces:
    """Surfaces of one direction, as noisy as a depth camera's, 1.5 m below a camera's place."""
    rng = np.random.default_rng(seed)
    normals = normal + rng.normal(0, 0.02, points.shape)
    normals /= np.linalg.norm(normals, axis=1, keepdims=True)
    return Surfaces(points, normals, np.array([[0.0, 0, 1.5]]))


def together(*parts: Surfaces) -> Surfaces:
    points, normals = (
        np.concatenate([getattr(part, name) for part in parts]) for name in ("points", "normals")
    )
    return Surfaces(points, normals, parts[0].places)


def test_no_floor_where_nothing_is_level_below() -> None:
    rng = np.random.default_rng(3)
    cloud, anyhow = rng.uniform(-2, 2, (3000, 3)), rng.normal(size=(3000, 3))
    anyhow /= np.linalg.norm(anyhow, axis=1, keepdims=True)
    places = np.array([[0.0, 0.0, 1.2]])
    assert find_floor(Surfaces(cloud, anyhow, places), UP, 0.5) is None
    assert find_floor(Surfaces(cloud[:2], anyhow[:2], places), UP, 0.5) is None
    # Level things, but more of the room lies below than below any floor.
    shelf = level(np.column_stack([rng.uniform(-1, 1, (900, 2)), np.full(900, 0.7)]))
    below = level(rng.uniform(-1, 0, (600, 3)), np.array([1.0, 0, 0]))
    assert find_floor(together(shelf, below), UP, 0.5) is None
    assert find_vertical(together(shelf, below), UP, 0.5) is not None


@pytest.mark.parametrize("count", [100, 900])
def test_a_table_does_not_pass_for_the_floor_where_there_is_one(count: int) -> None:
    """Of a floor little may be seen: what the table tells of the vertical counts for it too."""
    rng = np.random.default_rng(4)
    table = np.column_stack([rng.uniform(-1, 1, (3000, 2)), rng.normal(0.7, 0.005, 3000)])
    floor = np.column_stack([rng.uniform(-3, 3, (count, 2)), rng.normal(0, 0.005, count)])
    wall = np.column_stack(
        [np.full(900, 2.0), rng.uniform(-1, 1, (900, 1)), rng.uniform(0, 2, 900)]
    )
    seen = together(level(table), level(floor), level(wall, np.array([-1.0, 0, 0])))
    # A camera that looks down tells a vertical that is 25 degrees off.
    leaning = np.array([np.sin(0.43), 0, np.cos(0.43)])
    found = find_floor(seen, leaning, HELD_TILT)
    assert found is not None and found.height == pytest.approx(1.5, abs=0.02)
    np.testing.assert_allclose(found.T_level_any[2, :3], UP, atol=0.01)
    vertical = find_vertical(seen, leaning, HELD_TILT)
    assert vertical is not None and vertical @ UP > np.cos(np.radians(1))


def test_normals_look_at_the_camera_and_end_where_things_do() -> None:
    rays = CAMERA.rays().astype(np.float64)
    depth = np.full(rays.shape[:2], 2.0)
    depth[:, : CAMERA.width // 2] = 1.0
    normals = surface_normals(rays * depth[..., None])
    known = np.isfinite(normals).all(-1)
    np.testing.assert_allclose(normals[known], np.tile([0.0, 0, -1], (known.sum(), 1)), atol=1e-9)
    edge = CAMERA.width // 2
    assert known[20, 20] and known[20, edge + 8] and not known[20, edge]


def test_a_given_height_is_taken(scene: Path) -> None:
    drive = RgbdSequence(scene, camera_height=0.8)
    assert drive.floor.share == 0 and drive.floor.height == pytest.approx(0.8)
    heights = [drive.T_world_cam(i)[2, 3] for i in drive.frames]
    assert np.median(heights) == pytest.approx(0.8)


def test_a_plane_becomes_the_floor_of_a_level_world() -> None:
    normal = np.array([0.6, 0.0, 0.8])
    T = levelled(normal, 0.5)
    np.testing.assert_allclose(transform(T, normal * 0.5)[2], 0, atol=1e-12)
    np.testing.assert_allclose(transform(T, normal * 1.7)[2], 1.2, atol=1e-12)
    assert np.linalg.det(T[:3, :3]) == pytest.approx(1)


def test_a_camera_that_looks_straight_down_has_a_base() -> None:
    T = rigid(np.diag([1.0, -1, -1]), (2.0, 3.0, 1.0))
    np.testing.assert_allclose(below(T)[:3, 3], [2, 3, 0])
    assert np.linalg.det(below(T)[:3, :3]) == pytest.approx(1)


def test_the_small_cameras_file_is_that_of_the_camera() -> None:
    assert intrinsics(SMALL).split()[0] == f"{SMALL.fx:.6e}"
