"""What is wrong with a recording is said before hours are spent, with numbers."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from kdbts_ros.adaptation.checks import Inspection, inspect, jumps, sharpness
from kdbts_ros.adaptation.clips import STEP, plan_clips
from kdbts_ros.datasets.bags.drive import BagDrive
from kdbts_ros.datasets.kitti.files import rigid
from kdbts_ros.density.cameras.training_camera import TrainingCamera
from kdbts_ros.density.geometry.camera import Array
from test.adaptation.conftest import FRAMES, record

USUAL = TrainingCamera()


def graded(inspection: Inspection) -> dict[str, str]:
    return {check.name: check.grade for check in inspection.checks}


def said(inspection: Inspection, name: str) -> str:
    return next(check.sentence for check in inspection.checks if check.name == name)


def test_a_good_recording_has_nothing_bad(room_bag: Path) -> None:
    inspection = inspect([BagDrive(room_bag)], 0.2, USUAL)
    assert inspection.bad == ()
    grades = graded(inspection)
    assert grades["poses fit the images"] == "good"
    assert grades["motion blur"] == "good"
    assert grades["camera height"] == "good"
    assert (
        said(inspection, "poses there") == f"{FRAMES} of {FRAMES} images have a pose at their stamp"
    )
    assert "1.20 m above the ground of 'base_link'" in said(inspection, "camera height")
    assert "7 m in 0.1 minutes" in said(inspection, "coverage")


def test_the_held_out_part_shares_no_frame(room_bag: Path) -> None:
    drive = BagDrive(room_bag)
    plans = plan_clips([drive], 0.3, [set()], USUAL)
    learnt = {i for plan in plans.learn for i, _ in plan.views}
    kept = {i for plan in plans.held_out for i, _ in plan.views}
    assert learnt and kept
    assert max(learnt) < min(kept)
    for plan in (*plans.learn, *plans.held_out):
        first, second = (drive.T_world_cam(i, name)[:3, 3] for i, name in plan.views[:2])
        assert np.linalg.norm(first - second) >= plans.steps[0]


def test_steps_are_those_of_the_camera_that_the_network_knows(room_bag: Path) -> None:
    drive = BagDrive(room_bag)
    usual, as_it_is = (
        plan_clips([drive], 0.3, [set()], camera).steps
        for camera in (USUAL, TrainingCamera(max_scale=1.0))
    )
    assert usual == pytest.approx([STEP * 1.2 / 1.65]) and as_it_is == (STEP,)


def test_a_rig_gives_two_cameras_at_two_times(tmp_path: Path) -> None:
    drive = BagDrive(record(tmp_path / "bag", frames=12, cameras=2))
    plans = plan_clips([drive], 0.2, [set()], USUAL)
    names = [name for _, name in plans.learn[0].views]
    assert names == ["left", "left", "right", "right"]
    inspection = inspect([drive], 0.2, USUAL)
    assert "cameras 0.40 m apart" in said(inspection, "baseline")


def test_one_camera_standing_still(tmp_path: Path) -> None:
    bag = record(tmp_path / "bag", step=0.0, frames=10)
    inspection = inspect([BagDrive(bag)], 0.2, USUAL)
    assert graded(inspection)["baseline"] == "bad"
    assert "the camera hardly moves" in said(inspection, "baseline")


def test_poses_that_jump(tmp_path: Path) -> None:
    def jump(i: int, T: Array) -> Array:
        return rigid(np.eye(3), (0, 25.0 * (i // 8), 0)) @ T

    drive = BagDrive(record(tmp_path / "bag", pose=jump))
    # The images on either side of a jump have no pose that one could trust: 7 and 8, 15 and 16.
    assert drive.losses.without_pose == 4
    assert jumps(drive) == {6, 12}
    inspection = inspect([drive], 0.2, USUAL)
    assert graded(inspection)["poses smooth"] == "bad"
    assert "jumps 2 times, first by 24.9 m within 0.60 s at image 6" in said(
        inspection, "poses smooth"
    )
    for plan in (*inspection.plans.learn, *inspection.plans.held_out):
        assert len({(i > 6) + (i > 12) for i, _ in plan.views}) == 1


def test_poses_of_another_motion(tmp_path: Path) -> None:
    def backwards(i: int, T: Array) -> Array:
        return rigid(np.eye(3), (-0.3 * i, 0, 0))

    inspection = inspect([BagDrive(record(tmp_path / "bag", pose=backwards))], 0.2, USUAL)
    assert graded(inspection)["poses fit the images"] == "bad"
    assert "do not fit the images" in said(inspection, "poses fit the images")


@pytest.mark.parametrize(
    ("spoil", "name", "words"),
    [
        (lambda i, image: cv2.GaussianBlur(image, (0, 0), 3.0), "motion blur", "drive slower"),
        (lambda i, image: (image * 0.1).astype(np.uint8), "exposure", "change the exposure"),
    ],
    ids=["blurred", "dark"],
)
def test_spoilt_pictures(tmp_path: Path, spoil, name: str, words: str) -> None:
    inspection = inspect([BagDrive(record(tmp_path / "bag", frames=12, picture=spoil))], 0.2, USUAL)
    assert graded(inspection)[name] != "good"
    assert words in said(inspection, name)


def test_sharpness_falls_with_blur() -> None:
    rng = np.random.default_rng(0)
    sharp = rng.integers(0, 255, (240, 640, 3)).astype(np.uint8)
    values = [sharpness(cv2.GaussianBlur(sharp, (0, 0), s)) for s in (0.4, 1.0, 2.0)]
    assert values == sorted(values, reverse=True)
