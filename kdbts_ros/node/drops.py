"""Why an image did not become a map: the reasons counted in reports and diagnostics."""

from __future__ import annotations

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
NO_TF = "no_tf"
TOO_OLD = "too_old"
EXTRAPOLATION = "extrapolation"
DISCONNECTED = "disconnected"
TWO_PARENTS = "two_parents"
NON_UNIT_QUATERNION = "non_unit_quaternion"
QUEUE_FULL = "queue_full"
SUPERSEDED = "superseded"
INFERENCE_ERROR = "inference_error"
DEACTIVATED = "deactivated"

POSE_REASONS = frozenset(
    {NO_TF, TOO_OLD, EXTRAPOLATION, DISCONNECTED, TWO_PARENTS, NON_UNIT_QUATERNION}
)
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
