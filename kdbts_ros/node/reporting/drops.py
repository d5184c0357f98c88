"""Why an image did not become a map: the reasons counted in reports and diagnostics."""

from __future__ import annotations

from kdbts_ros.datasets.ros import pose_rules
from kdbts_ros.node.reporting.faults import with_place

ZERO_STAMP = "zero_stamp"
FUTURE_STAMP = "future_stamp"
DUPLICATE = "duplicate"
OUT_OF_ORDER = "out_of_order"
TIME_JUMP = "time_jump"
OTHER_CAMERA = "other_camera"
BAD_IMAGE = "bad_image"
NO_CAMERA_INFO = "no_camera_info"
BAD_CAMERA_INFO = "bad_camera_info"
CAMERA_INFO_MISMATCH = "camera_info_mismatch"
BAD_MOUNT = "bad_mount"
NO_TF = pose_rules.NO_TF
TOO_OLD = pose_rules.TOO_OLD
EXTRAPOLATION = pose_rules.EXTRAPOLATION
DISCONNECTED = pose_rules.DISCONNECTED
LOOP = pose_rules.LOOP
TWO_PARENTS = pose_rules.TWO_PARENTS
TF_GAP = pose_rules.TF_GAP
POSE_JUMP = pose_rules.POSE_JUMP
BAD_TRANSFORM = pose_rules.BAD_TRANSFORM
NON_UNIT_QUATERNION = pose_rules.NON_UNIT_QUATERNION
QUEUE_FULL = "queue_full"
SUPERSEDED = "superseded"
INFERENCE_ERROR = "inference_error"
DEACTIVATED = "deactivated"
# Handling the image failed in the node itself, in a way that nobody foresaw.
UNFORESEEN = "unforeseen"

# Why there is no pose, in recordings as well.
POSE_REASONS = pose_rules.REASONS
# What two publishers on one topic look like, besides what the images themselves tell.
SHARED_TOPIC_REASONS = frozenset({OTHER_CAMERA, DUPLICATE, OUT_OF_ORDER, CAMERA_INFO_MISMATCH})


class Dropped(Exception):
    """An image is not used: `reason` is one of the names above, `detail` one sentence.

    `final` is False where waiting may help (a transform or calibration that may still arrive).
    """

    def __init__(self, reason: str, detail: str, *, final: bool = True) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail
        self.final = final


def as_dropped(error: Exception) -> Dropped:
    """Why an image is lost to an exception: its own reason, or `unforeseen` with kind and place."""
    return error if isinstance(error, Dropped) else Dropped(UNFORESEEN, with_place(error))
