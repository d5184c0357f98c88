"""Is a recording fit to learn from? Every check is a verdict with numbers, in plain words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from kdbts_ros.adaptation.clips import ClipPlan, Plans, camera_height, plan_clips
from kdbts_ros.adaptation.depth_checks import depth_checks
from kdbts_ros.adaptation.verdict import Check, Grade
from kdbts_ros.datasets.bags.drive import BagDrive
from kdbts_ros.datasets.pose_check import check_poses, pose_steps
from kdbts_ros.density.cameras.training_camera import TrainingCamera
from kdbts_ros.density.geometry.camera import View, inverse
from kdbts_ros.errors import UserError

# Images looked at for sharpness and exposure, and pairs for the poses.
SAMPLED_IMAGES, SAMPLED_PAIRS = 40, 12
FEWEST_CLIPS, WANTED_CLIPS = 8, 100
WANTED_METRES, WANTED_MINUTES = 50.0, 1.0
# Speed (m/s) and turn rate (degrees/s) of ground robots and cars that no pose may exceed.
FASTEST, FASTEST_TURN = 50.0, 180.0
# Detail of an image at the scale of one pixel against that at the scale of four.
BLURRED, SHARP = 0.25, 0.33
DARK, GLARING = 40.0, 0.25


@dataclass(frozen=True)
class Inspection:
    """All verdicts about recordings, and the clips to learn from."""

    checks: tuple[Check, ...]
    plans: Plans

    @property
    def bad(self) -> tuple[Check, ...]:
        """What speaks against starting."""
        return tuple(check for check in self.checks if check.grade == "bad")


def inspect(drives: Sequence[BagDrive], held_out: float, training: TrainingCamera) -> Inspection:
    """Look at recordings before a network that knows the camera `training` learns from them."""
    jumping = [jumps(drive) for drive in drives]
    plans = plan_clips(drives, held_out, jumping, training)
    images, unreadable = _sampled_images(drives)
    checks = [
        _frames(drives),
        _unreadable(unreadable, len(images) + len(unreadable)),
        _jumps(drives, jumping),
        _baseline(drives, plans),
        _coverage(drives, plans),
        *_pictures(images),
        *_poses(drives, [*plans.learn, *plans.held_out]),
        _height(drives),
        *depth_checks(drives),
    ]
    return Inspection(tuple(checks), plans)


def jumps(drive: BagDrive) -> set[int]:
    """Frames after which the robot would have to move faster than anything on the ground."""
    lead = drive.cameras[0]
    moved, turned = pose_steps([drive.T_world_cam(i, lead) for i in drive.frames])
    stamps = np.array([drive.stamp_ns(i) for i in drive.frames])
    seconds = np.maximum(np.diff(stamps) / 1e9, 1e-3)
    # A step far out of the ordinary is a jump at any speed: loop closures move by a metre or two.
    usual = np.median(moved / seconds) if len(moved) else 0.0
    limit = min(FASTEST, 4 * usual + 3.0)
    return {
        int(i)
        for i in np.flatnonzero((moved / seconds > limit) | (turned / seconds > FASTEST_TURN))
    }


def _frames(drives: Sequence[BagDrive]) -> Check:
    lost = [drive.losses for drive in drives]
    images = sum(loss.images for loss in lost)
    frames = sum(len(drive) for drive in drives)
    without_pose = sum(loss.without_pose for loss in lost)
    without_partner = sum(loss.without_partner for loss in lost)
    sentence = f"{frames} of {images} images have a pose at their stamp"
    if without_pose:
        sentence += f"; {without_pose} lie outside the recorded transforms or in a gap of them"
    if without_partner:
        sentence += f"; {without_partner} have no image of the other cameras within 50 ms"
    for count, words in (
        (sum(loss.without_stamp for loss in lost), "have no stamp"),
        (sum(loss.repeated for loss in lost), "have the stamp of one before"),
        (sum(loss.other_lens for loss in lost), "have another camera_info than most, or a bad one"),
    ):
        if count:
            sentence += f"; {count} {words}"
    grade: Grade = "good" if frames >= 0.9 * images else "poor" if frames >= 0.3 * images else "bad"
    return Check("poses there", grade, sentence)


def _unreadable(unreadable: Sequence[str], looked_at: int) -> Check:
    share = len(unreadable) / max(looked_at, 1)
    if not unreadable:
        return Check("images readable", "good", f"all of {looked_at} images looked at")
    grade: Grade = "bad" if share > 0.5 else "poor"
    sentence = f"{len(unreadable)} of {looked_at} images cannot be read and are left out"
    return Check("images readable", grade, f"{sentence}: {unreadable[0]}")


def _jumps(drives: Sequence[BagDrive], jumping: Sequence[set[int]]) -> Check:
    count, frames = sum(map(len, jumping)), sum(map(len, drives))
    if not count:
        return Check("poses smooth", "good", "no pose jumps")
    number, first = next((k, min(j)) for k, j in enumerate(jumping) if j)
    drive = drives[number]
    a, b = (drive.T_world_cam(i, drive.cameras[0]) for i in (first, first + 1))
    seconds = (drive.stamp_ns(first + 1) - drive.stamp_ns(first)) / 1e9
    sentence = (
        f"the pose jumps {count} times, first by {np.linalg.norm((inverse(a) @ b)[:3, 3]):.1f} m "
        f"within {seconds:.2f} s at image {first}: use the frame of the odometry, not of a map "
        "that is corrected"
    )
    return Check("poses smooth", "bad" if count > 0.02 * frames else "poor", sentence)


def _baseline(drives: Sequence[BagDrive], plans: Plans) -> Check:
    clips = len(plans.learn) + len(plans.held_out)
    rigs = [_rig_width(drive) for drive in drives]
    steps = ", ".join(f"{step:.2f} m" for step in plans.steps)
    rig = f", cameras {max(rigs):.2f} m apart" if max(rigs) > 0 else ""
    if clips < FEWEST_CLIPS:
        return Check(
            "baseline",
            "bad",
            f"the camera hardly moves: {clips} places at least {steps} from the next, "
            f"{FEWEST_CLIPS} are needed{rig}; drive while recording",
        )
    sentence = f"{clips} places at least {steps} from the next{rig}"
    if plans.standing:
        sentence += f"; {plans.standing} images of standing still are left out"
    return Check("baseline", "good" if clips >= WANTED_CLIPS else "poor", sentence)


def _rig_width(drive: BagDrive) -> float:
    centres = np.array([drive.T_world_cam(0, name)[:3, 3] for name in drive.cameras])
    return float(np.linalg.norm(centres - centres[0], axis=1).max())


def _coverage(drives: Sequence[BagDrive], plans: Plans) -> Check:
    metres, headings, places = 0.0, [], set()
    for drive in drives:
        poses = [drive.T_world_cam(i, drive.cameras[0]) for i in drive.frames]
        moved, _ = pose_steps(poses)
        metres += float(moved[moved < 6].sum())
        headings += [np.degrees(np.arctan2(T[1, 2], T[0, 2])) for T in poses]
        places |= {(*np.floor(T[:3, 3] / 2).astype(int),) for T in poses}
    sectors = len({int(h // 30) for h in headings})
    minutes = sum((d.stamp_ns(len(d) - 1) - d.stamp_ns(0)) / 60e9 for d in drives)
    sentence = (
        f"{metres:.0f} m in {minutes:.1f} minutes through {len(places)} places of 2 m, "
        f"looking into {sectors} of 12 directions; {len(plans.held_out)} clips are kept for judging"
    )
    if metres >= WANTED_METRES and len(plans.held_out) >= 8:
        return Check("coverage", "good", sentence)
    cure = f"; {WANTED_METRES:.0f} m and more through what the robot will meet would be better"
    return Check("coverage", "poor" if plans.held_out else "bad", sentence + cure)


def _pictures(images: Sequence[np.ndarray]) -> list[Check]:
    if not images:
        return []
    detail = np.array([sharpness(image) for image in images])
    blurred = float((detail < BLURRED).mean())
    grade: Grade = "good" if blurred < 0.1 else "poor" if blurred < 0.6 else "bad"
    sharp = (
        f"{blurred:.0%} of the images are blurred (detail {np.median(detail):.2f}, sharp from "
        f"{SHARP})"
    )
    if grade != "good":
        sharp += ": drive slower, shorten the exposure, or focus the lens"
    grey = [cv2.cvtColor(image, cv2.COLOR_RGB2GRAY) for image in images]
    mean = float(np.median([g.mean() for g in grey]))
    glare = float(np.median([(g >= 250).mean() for g in grey]))
    exposed = f"brightness {mean:.0f} of 255, {glare:.0%} of the pixels saturated"
    fine = mean >= DARK and glare <= GLARING
    if not fine:
        exposed += ": change the exposure"
    return [
        Check("motion blur", grade, sharp),
        Check("exposure", "good" if fine else "poor", exposed),
    ]


def sharpness(image: np.ndarray) -> float:
    """Contrast at the scale of a pixel over that at four pixels, at 640 pixels' width at most.

    About 0.4 for a sharp image of anything; motion and defocus take the fine scale away first.
    """
    # Enlarging would look like blur.
    width = min(640, image.shape[1])
    height = max(8, round(image.shape[0] * width / image.shape[1]))
    small = cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA)
    grey = cv2.cvtColor(small, cv2.COLOR_RGB2GRAY).astype(np.float32)
    fine = np.abs(grey - cv2.GaussianBlur(grey, (0, 0), 1.0)).mean()
    coarse = np.abs(grey - cv2.GaussianBlur(grey, (0, 0), 4.0)).mean()
    return float(fine / max(coarse, 1e-3))


def _poses(drives: Sequence[BagDrive], plans: Sequence[ClipPlan]) -> list[Check]:
    pairs = []
    chosen = np.linspace(0, len(plans) - 1, min(SAMPLED_PAIRS, len(plans))).round().astype(int)
    for plan in (plans[k] for k in chosen):
        drive = drives[plan.drive]
        try:
            a, b = (
                View(drive.image(i, name), drive.camera(name), drive.T_world_cam(i, name))
                for i, name in plan.views[:2]
            )
        except UserError:
            continue
        pairs.append((a, b))
    if not pairs:
        return []
    verdict = check_poses(pairs)
    fit = Check("poses fit the images", "good" if verdict.fits else "bad", verdict.sentence)
    if not verdict.fits:
        return [fit]
    moving = verdict.moving
    sentence = f"{moving:.0%} of the points that were followed move by themselves or were confused"
    grade: Grade = "good" if moving < 0.15 else "poor"
    if grade != "good":
        sentence += ": record where fewer people and cars are about"
    return [fit, Check("static scene", grade, sentence)]


def _height(drives: Sequence[BagDrive]) -> Check:
    height = camera_height(drives[0])
    base = drives[0].names.base
    if height < 0.05:
        return Check(
            "camera height",
            "poor",
            f"the camera is {height:.2f} m above z = 0 of '{base}', which is taken as the ground: "
            "the map's heights and the scale of the scene depend on it",
        )
    return Check("camera height", "good", f"{height:.2f} m above the ground of '{base}'")


def _sampled_images(drives: Sequence[BagDrive]) -> tuple[list[np.ndarray], list[str]]:
    """Images spread evenly over the recordings, and why others cannot be read."""
    images, unreadable = [], []
    for drive in drives:
        count = min(len(drive), max(2, SAMPLED_IMAGES // len(drives)))
        for index in np.linspace(0, len(drive) - 1, count).round().astype(int):
            try:
                images.append(drive.recorded_image(int(index), drive.cameras[0]))
            except UserError as error:
                unreadable.append(str(error))
    return images, unreadable
