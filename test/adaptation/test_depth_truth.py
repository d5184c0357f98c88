"""Adaptation with a depth camera: its images are the truth, in the pixels the network is shown."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from kdbts_ros.adaptation.checks import inspect
from kdbts_ros.adaptation.clips import BagClips, ClipPlan
from kdbts_ros.adaptation.depth_checks import depth_checks
from kdbts_ros.adaptation.judge import Judge
from kdbts_ros.adaptation.origin import origin_of
from kdbts_ros.adaptation.settings import AdaptSettings
from kdbts_ros.datasets.bags.depth_topics import AUTO, NONE, depth_topic, is_depth
from kdbts_ros.datasets.bags.drive import BagDrive
from kdbts_ros.datasets.bags.topics import CAMERA_INFO, IMAGE, CameraTopics
from kdbts_ros.density.cameras.training_camera import TrainingCamera
from kdbts_ros.density.checkpoints.checkpoint import load_network
from kdbts_ros.errors import UserError
from test.adaptation import depth_bags
from test.adaptation.conftest import SIZE
from test.adaptation.depth_bags import DEPTH, OWN, T_BASE_OWN, record_depth
from test.datasets.box_room import CAMERA, room_depth

TRAINING = TrainingCamera(*CAMERA.ndc[[0, 1, 0, 1], [0, 1, 2, 2]].tolist(), height=1.2)
PLAN = ClipPlan(0, ((2, "color"), (4, "color"), (0, "color")))
LEADING = CameraTopics("color", "/eye/color/image_raw", "/eye/color/camera_info")


def clips(drive: BagDrive, near: float = 0.5) -> BagClips:
    return BagClips([drive], [PLAN], TRAINING, SIZE, near)


@pytest.fixture(scope="module")
def deep_bag(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return record_depth(tmp_path_factory.mktemp("deep") / "room")


@pytest.mark.parametrize(
    ("encode", "topic", "camera", "T_base_depth"),
    [
        (depth_bags.millimetres, DEPTH, CAMERA, depth_bags.T_BASE_CAM),
        (depth_bags.metres, "/eye/depth_registered/image_rect", CAMERA, depth_bags.T_BASE_CAM),
        (depth_bags.compressed, f"{DEPTH}/compressedDepth", CAMERA, depth_bags.T_BASE_CAM),
        (depth_bags.compressed_metres, f"{DEPTH}/compressedDepth", CAMERA, depth_bags.T_BASE_CAM),
        (depth_bags.millimetres, "/eye/depth/image_rect_raw", OWN, T_BASE_OWN),
    ],
    ids=["millimetres", "metres", "compressed", "compressed metres", "a camera of its own"],
)
def test_hints_are_what_the_sensor_measured(
    tmp_path: Path, encode, topic: str, camera, T_base_depth
) -> None:
    bag = record_depth(tmp_path / "room", encode, topic, camera, T_base_depth, frames=8)
    drive = BagDrive(bag, depth=AUTO)
    assert drive.cameras == ("color",) and drive.depth is not None
    assert drive.depth.topic == topic and drive.depth.count == len(drive) == 8
    clip = clips(drive).clip(PLAN)
    assert clip.measured
    small = CAMERA.resized(*SIZE)
    true = room_depth(drive.T_world_cam(2, "color"), small)
    known = clip.hints > 0
    # What has less pixels leaves gaps, and what is farther than 16 bits of millimetres none.
    assert known.mean() > (0.9 if camera is CAMERA else 0.4)
    error = np.abs(clip.hints[known] - true[known]) / true[known]
    assert np.median(error) < 0.01 and np.quantile(error, 0.97) < 0.06


def test_metres_are_scaled_as_the_views_are(deep_bag: Path) -> None:
    drive = BagDrive(deep_bag, depth=AUTO)
    taller = TrainingCamera(TRAINING.fx, TRAINING.fy, TRAINING.cx, TRAINING.cy, height=2.4)
    plain = clips(drive).clip(PLAN)
    scaled = BagClips([drive], [PLAN], taller, SIZE, 0.5).clip(PLAN)
    both = (plain.hints > 0) & (scaled.hints > 0)
    assert both.mean() > 0.5
    np.testing.assert_allclose(scaled.hints[both], 2 * plain.hints[both], rtol=0.03)


def test_what_is_nearer_than_the_network_begins_teaches_nothing(deep_bag: Path) -> None:
    hints = clips(BagDrive(deep_bag, depth=AUTO), near=4.0).clip(PLAN).hints
    assert (hints > 0).any() and hints[hints > 0].min() > 4.0


def test_without_depth_matching_gives_the_hints(deep_bag: Path) -> None:
    assert BagDrive(deep_bag).depth is None and BagDrive(deep_bag, depth=NONE).depth is None
    clip = clips(BagDrive(deep_bag)).clip(PLAN)
    assert not clip.measured
    assert Judge([clip]).truth == "matching"


def test_the_judge_says_what_it_holds_depth_against(deep_bag: Path) -> None:
    measured = clips(BagDrive(deep_bag, depth=AUTO)).clip(PLAN)
    assert Judge([measured]).truth == "the sensor"
    assert Judge([measured, clips(BagDrive(deep_bag)).clip(PLAN)]).truth == "sensor and matching"


def test_the_checks_tell_of_the_depth(deep_bag: Path) -> None:
    drive = BagDrive(deep_bag, depth=AUTO)
    (check,) = [c for c in inspect([drive], 0.2, TrainingCamera()).checks if c.name == "depth"]
    assert check.grade == "good"
    assert f"{DEPTH} has a depth image for 24 of 24 images" in check.sentence
    assert depth_checks([BagDrive(deep_bag)]) == []


def test_depth_in_a_wrong_unit_is_bad(tmp_path: Path) -> None:
    def centimetres(depth: np.ndarray, stamp: int) -> tuple[str, memoryview]:
        return depth_bags.millimetres(depth / 100, stamp)

    drive = BagDrive(record_depth(tmp_path / "room", centimetres, frames=4), depth=AUTO)
    (check,) = depth_checks([drive])
    assert check.grade == "bad" and "16UC1 must be in millimetres" in check.sentence


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"encoding": "rgb8"}, "'rgb8' is no depth"),
        ({"height": 3}, "holds 30720 bytes in steps of 320"),
        ({"width": 0}, "claims 0x96 pixels"),
    ],
)
def test_a_damaged_depth_image_is_one_sentence(
    tmp_path: Path, changes: dict[str, object], sentence: str
) -> None:
    def spoilt(depth: np.ndarray, stamp: int) -> tuple[str, memoryview]:
        values = np.rint(depth * 1000).astype("<u2")
        return depth_bags.IMAGE, depth_bags.plain(values, "16UC1", stamp, **changes)

    drive = BagDrive(record_depth(tmp_path / "room", spoilt, frames=4), depth=AUTO)
    assert drive.depth is not None
    with pytest.raises(UserError, match=sentence) as told:
        drive.depth.seen_by(0, CAMERA, drive.T_world_cam(0, "color"))
    assert "\n" not in str(told.value)
    (check,) = depth_checks([drive])
    assert check.grade == "bad" and sentence in check.sentence


def test_a_size_that_the_calibration_does_not_say_is_refused(tmp_path: Path) -> None:
    def smaller(depth: np.ndarray, stamp: int) -> tuple[str, memoryview]:
        return depth_bags.millimetres(depth[:48], stamp)

    drive = BagDrive(record_depth(tmp_path / "room", smaller, frames=4), depth=AUTO)
    assert drive.depth is not None
    with pytest.raises(UserError, match="is 160x48, but its camera_info describes 160x96"):
        drive.depth.seen_by(0, CAMERA, drive.T_world_cam(0, "color"))


def test_which_topic_is_the_depth() -> None:
    types = dict.fromkeys(
        (
            "/eye/color/image_raw",
            "/eye/depth/image_rect_raw",
            "/eye/aligned_depth_to_color/image_raw",
            "/rear/depth_registered/image_raw",
            "/lone/depth/image",
        ),
        IMAGE,
    )
    types |= {
        f"{space}/camera_info": CAMERA_INFO
        for space in (
            *("/eye/color", "/eye/depth", "/eye/aligned_depth_to_color", "/rear/depth_registered"),
        )
    }
    found = depth_topic(types, AUTO, LEADING, "bag")
    assert found is not None and found.images == "/eye/aligned_depth_to_color/image_raw"
    other = depth_topic(types, "/eye/depth/image_rect_raw", LEADING, "bag")
    assert other is not None and other.infos == "/eye/depth/camera_info"
    assert depth_topic({LEADING.images: IMAGE}, AUTO, LEADING, "bag") is None
    with pytest.raises(UserError, match=r"no camera_info beside /lone/depth/image.*--depth none"):
        depth_topic(types, "/lone/depth/image", LEADING, "bag")
    with pytest.raises(UserError, match=r"did you mean '/eye/depth/image_rect_raw'\?"):
        depth_topic(types, "/eye/depth/image_rect", LEADING, "bag")


def test_names_that_tell_of_depth() -> None:
    for name in ("/c/depth/image", "/c/aligned_depth_to_color/image_raw", "/x/compressedDepth"):
        assert is_depth(name)
    for name in ("/depth_camera/image_raw", "/c/color/image_raw", "/c/depth/image/compressed"):
        assert not is_depth(name)


def test_an_adaptation_goes_on_with_the_same_depth_only(deep_bag: Path, checkpoint: Path) -> None:
    _, info = load_network(checkpoint)
    settings = AdaptSettings()
    deep = origin_of(settings, info, [BagDrive(deep_bag, depth=AUTO)])
    assert deep["depth of recording 1"] == DEPTH
    assert "depth of recording 1" not in origin_of(settings, info, [BagDrive(deep_bag)])
