"""Frames from the procedural worlds and from a real drive."""

from __future__ import annotations

import os
import pickle
from pathlib import Path

import numpy as np
import pytest
import torch

from kdbts_ros.datasets.kitti.files import rigid
from kdbts_ros.density.cameras.training_camera import TrainingCamera
from kdbts_ros.density.geometry.camera import inverse
from kdbts_ros.errors import UserError
from kdbts_ros.learning.config.clip_stages import PhotometricStage
from kdbts_ros.learning.config.config_file import load_config
from kdbts_ros.learning.frames.labels import LEVELS, PLACE_COLUMNS
from kdbts_ros.learning.frames.sources import LabelledWorlds, RecordedClips, SyntheticClips
from kdbts_ros.learning.run.tasks import task_of
from test.adaptation.conftest import record

REPOSITORY = Path(__file__).resolve().parents[3]
KITTI = Path(os.environ.get("KDBTS_SHARED", REPOSITORY.parent / "shared")) / "data/kitti_raw"
WIDTH, HEIGHT = 160, 64


@pytest.mark.parametrize("low_share", [0.0, 1.0])
def test_surfaces_of_a_world_separate_free_from_occupied(low_share: float) -> None:
    source = pickle.loads(pickle.dumps(LabelledWorlds(WIDTH, HEIGHT, 4000, 300, 2, low_share)))
    frame = source(7)
    assert frame.images.shape == (3, HEIGHT, WIDTH, 3) and len(frame.points) <= 4000
    image_point = frame.points @ frame.K_ndc[0].T
    uv = image_point[:, :2] / image_point[:, 2:]
    column = np.clip((uv[:, 0] + 1) / 2 * WIDTH, 0, WIDTH - 1).astype(int)
    row = np.clip((uv[:, 1] + 1) / 2 * HEIGHT, 0, HEIGHT - 1).astype(int)
    surface = frame.z[row, column].astype(float)
    before = frame.points[:, 2] < 0.8 * surface
    # A pixel shows one depth but covers several at edges: a few points may disagree.
    assert frame.occupied[before].mean() < 0.03
    assert frame.occupied[~before].mean() > 0.3


def test_a_low_camera_sees_a_world_enlarged_to_the_training_camera() -> None:
    usual, low = (LabelledWorlds(WIDTH, HEIGHT, 200, 10, 1, share)(11) for share in (0.0, 1.0))
    baselines = [np.linalg.norm(frame.T_ref_cam[1, :3, 3]) for frame in (usual, low)]
    assert baselines[0] == pytest.approx(0.54)
    assert 1.65 / 1.5 < baselines[1] / baselines[0] < 1.65 / 0.6
    road = [frame.z[-1, WIDTH // 2].astype(float) for frame in (usual, low)]
    assert road[1] == pytest.approx(road[0], rel=0.15)
    assert usual.far == 80
    assert low.far / usual.far == pytest.approx(baselines[1] / baselines[0])
    assert low.z.max() > usual.z.max()


def test_a_high_camera_sees_a_world_shrunk_to_the_training_camera() -> None:
    usual, high = (
        LabelledWorlds(WIDTH, HEIGHT, 200, 10, 1, high_share=share)(11) for share in (0.0, 1.0)
    )
    baselines = [np.linalg.norm(frame.T_ref_cam[1, :3, 3]) for frame in (usual, high)]
    assert 1.65 / 2.75 < baselines[1] / baselines[0] < 1.65 / 1.8
    road = [frame.z[-1, WIDTH // 2].astype(float) for frame in (usual, high)]
    assert road[1] == pytest.approx(road[0], rel=0.15)
    assert high.far == usual.far == 80


def test_near_things_get_their_share_of_points() -> None:
    shares = []
    for share in (0.0, 0.5):
        source = LabelledWorlds(
            WIDTH, HEIGHT, 2000, 10, 0, streets={"near": 1.0}, near=1.5, near_share=share
        )
        frame = source(5)
        assert frame.near == 1.5 and frame.near_thing.any()
        assert (frame.z[frame.near_thing] <= 6).all() and frame.obstacle[frame.near_thing].all()
        shares.append((frame.points[:, 2] < 7).mean())
        assert frame.points[:, 2].min() < 3
    assert shares[1] > shares[0] + 0.05


@pytest.mark.parametrize("seed", [4, 9])
def test_a_place_is_labelled_where_the_camera_saw_it(seed: int) -> None:
    make = LabelledWorlds(
        WIDTH, HEIGHT, 3000, 200, 1, near=0.4, near_share=0.2, places={"office": 1.0}
    )
    frame = pickle.loads(pickle.dumps(make))(seed)
    assert frame.images.shape == (2, HEIGHT, WIDTH, 3) and frame.seen is not None
    uv = frame.points @ frame.K_ndc[0].T
    uv = (uv[:, :2] / uv[:, 2:] + 1) / 2 * [WIDTH, HEIGHT]
    columns, rows = uv.astype(int).T.clip(0, [[WIDTH - 1], [HEIGHT - 1]])
    assert frame.seen[rows, columns].mean() > 0.99
    assert not (frame.obstacle & ~frame.seen).any()
    surface = frame.z[rows, columns].astype(float)
    depth = frame.points[:, 2] / surface
    assert frame.occupied[depth < 0.8].mean() < 0.03
    # What stands in an office is thin: it is solid right behind its surface only.
    assert frame.occupied[(depth > 1.0) & (depth < 1.02)].mean() > 0.5
    assert frame.points[:, 2].min() < 3, "nearer than a street's"


def test_a_place_is_seen_by_the_camera_that_the_network_knows() -> None:
    camera = TrainingCamera.looking(81, 0.38, 0.2, (96, 64))
    shares = {"corridor": 0.5, "yard": 0.5}
    make = LabelledWorlds(96, 64, 500, 50, 1, near=0.5, places=shares, camera=camera)
    for seed in (3, 4, 5):
        frame = make(seed)
        assert not frame.street
        np.testing.assert_allclose(frame.K_ndc[0], camera.camera(96, 64).ndc, atol=1e-6)
        # However low the robot's camera is, its world is enlarged until it stands at one height.
        first, last = frame.columns[:, 0, 1], frame.columns[:, -1, 1]
        np.testing.assert_allclose(first - last, (LEVELS - 1) * frame.layer, rtol=1e-4)
        band = PLACE_COLUMNS.enlarged(frame.layer / PLACE_COLUMNS.thickness)
        assert first.mean() == pytest.approx(camera.height - band.levels[0], rel=0.02)
        assert (np.abs(frame.columns[..., 0]) < band.ahead[1]).all()


def test_the_share_of_steep_cameras_is_what_the_file_says() -> None:
    file = REPOSITORY / "config/training/lite0_places_on.yaml"
    small = ["network.image_height=64", "network.image_width=96"]

    def image(share: float) -> np.ndarray:
        config = load_config(file, [*small, f"stages.0.steep_cameras={share}"])
        return task_of(config, config.stages[0], torch.device("cpu")).source()(3).images[0]

    assert (image(0.0) == image(0.0)).all()
    assert (image(0.0) != image(1.0)).any()


def test_without_places_streets_are_what_they_were() -> None:
    alone, shared = (
        LabelledWorlds(WIDTH, HEIGHT, 200, 10, 1, places=places)(12)
        for places in (None, {"street": 0.7, "office": 0.0})
    )
    np.testing.assert_array_equal(alone.images, shared.images)
    np.testing.assert_array_equal(alone.points, shared.points)
    assert alone.seen is None


def test_one_camera_looks_from_where_it_was() -> None:
    alone = LabelledWorlds(WIDTH, HEIGHT, 200, 10, 3, alone_share=1.0)
    for seed in (3, 4, 5):
        places = alone(seed).T_ref_cam[1:, :3, 3]
        assert (np.diff(places[:, 2]) < 0).all(), "the newest of its places comes first"
        assert ((places[:, 2] < -0.9) & (places[:, 2] > -10.1)).all()
        # Straight on but for yaw: no place lies a camera's width aside of where it came from.
        assert (np.abs(places[:, 0]) < 0.2 * np.abs(places[:, 2])).all()
    paired = LabelledWorlds(WIDTH, HEIGHT, 200, 10, 3, alone_share=0.0)(3).T_ref_cam
    assert paired[1, 0, 3] == pytest.approx(0.54, abs=0.02)


def test_equal_seeds_make_equal_frames() -> None:
    first, again = (LabelledWorlds(WIDTH, HEIGHT, 200, 10, 1)(11) for _ in range(2))
    np.testing.assert_array_equal(first.images, again.images)
    np.testing.assert_array_equal(first.points, again.points)


def test_a_synthetic_clip_is_stereo_and_moves_forward() -> None:
    clip = SyntheticClips(WIDTH, HEIGHT)(3)
    check_rig(clip.T_world_cam)
    assert clip.images.shape == (4, HEIGHT, WIDTH, 3)


def test_a_kitti_clip_is_stereo_and_moves_forward() -> None:
    if not (KITTI / "2011_09_26/2011_09_26_drive_0013_sync").is_dir():
        pytest.skip(f"no KITTI drive 0013 under {KITTI}; set KDBTS_SHARED")
    stage = PhotometricStage(
        kind="photometric",
        steps=1,
        source="kitti-raw",
        root=str(KITTI),
        drives=("2011_09_26_drive_0013_sync",),
    )
    clip = pickle.loads(pickle.dumps(RecordedClips(stage, WIDTH, HEIGHT)))(5)
    check_rig(clip.T_world_cam)
    assert clip.images.shape == (4, HEIGHT, WIDTH, 3)


def bag_stage(folder: Path, cameras: tuple[str, ...] = ()) -> PhotometricStage:
    return PhotometricStage(
        kind="photometric",
        steps=1,
        source="bag",
        root=str(folder),
        drives=("bag",),
        cameras=cameras,
        time_step=2,
    )


def test_a_recording_gives_stereo_clips(tmp_path: Path) -> None:
    record(tmp_path / "bag", frames=6, cameras=2)
    clip = pickle.loads(pickle.dumps(RecordedClips(bag_stage(tmp_path), WIDTH, HEIGHT)))(5)
    left0, left1, right0, _ = clip.T_world_cam
    np.testing.assert_allclose((inverse(left0) @ right0)[:3, 3], [0.4, 0, 0], atol=1e-6)
    assert (inverse(left0) @ left1)[2, 3] == pytest.approx(0.6, abs=0.01)


def test_one_camera_is_sent_to_adapt(tmp_path: Path) -> None:
    record(tmp_path / "bag", frames=4)
    with pytest.raises(UserError, match="this objective needs a pair"):
        RecordedClips(bag_stage(tmp_path), WIDTH, HEIGHT)(0)


def test_poses_without_sense_are_refused_before_training(tmp_path: Path) -> None:
    def backwards(i: int, T: np.ndarray) -> np.ndarray:
        return rigid(np.eye(3), (-0.3 * i, 0, 0))

    record(tmp_path / "bag", frames=8, cameras=2, pose=backwards)
    with pytest.raises(UserError, match="bag: the poses do not fit the images"):
        RecordedClips(bag_stage(tmp_path), WIDTH, HEIGHT)(0)


def check_rig(T_world_cam: np.ndarray) -> None:
    left0, left1, right0, right1 = T_world_cam
    for left, right in ((left0, right0), (left1, right1)):
        np.testing.assert_allclose((inverse(left) @ right)[:3, 3], [0.54, 0, 0], atol=0.03)
    assert 0.5 < (inverse(left0) @ left1)[2, 3] < 2.0
