"""Every parameter of the node, said once: default, range, meaning, and whether it is live.

ROS descriptors, ``config/kdbts.yaml`` and ``docs/parameters.md`` are made from this table:

    python -m kdbts_ros.node.parameters > config/kdbts.yaml
    python -m kdbts_ros.node.parameters --markdown > docs/parameters.md
"""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, ValidationError, ValidationInfo, field_validator

from kdbts_ros.errors import UserError
from kdbts_ros.node.parameters.rules import Rule, Value, parameter
from kdbts_ros.suggestions import did_you_mean


class Table(BaseModel):
    """Values that are good each by itself, in the order of the files.

    Raises:
        UserError: a value of another type or outside its range.
    """

    model_config = ConfigDict(strict=True, frozen=True, extra="forbid", allow_inf_nan=False)

    checkpoint: str = parameter(
        "kdbts",
        "Weights: a shipped name (kdbts or mvbts; kdbts_fine or mvbts_fine, better and four times "
        "as slow on a CPU; kdbts_indoor or mvbts_indoor, for rooms, halls and yards; bts), a "
        ".safetensors file, or an original .pt checkpoint.",
    )
    head: Literal["auto", "bts", "kdbts", "mvbts", "simple_multiview"] = parameter(
        "auto",
        "Head of an original checkpoint that holds several; auto takes the only one.",
    )
    device: str = parameter("auto", "Where the network runs: auto, cpu, cuda or cuda:N.")
    precision: Literal["auto", "float32", "bfloat16", "float16", "int8"] = parameter(
        "auto",
        "Convolutions of the network; int8 on a CPU, with OpenVINO and weights by kdbts quantise.",
    )
    convolutions: Literal["auto", "torch", "openvino"] = parameter(
        "auto",
        "Whose convolutions a CPU runs; auto: OpenVINO's for int8, else torch's.",
    )
    inference_niceness: int = parameter(
        5,
        "How far the threads that compute maps make way for others, in steps of nice on Linux; 0: "
        "like any.",
        0,
        19,
    )
    autostart: bool = parameter(
        True, "Configure and activate at start; false leaves that to a lifecycle manager."
    )
    mode: Literal["kdbts", "mvbts", "auto"] = parameter(
        "auto",
        "kdbts: maps of one image; mvbts: of several, kept with their poses; auto: of one until "
        "others add something and while poses fail, where the weights can fuse views.",
    )
    fixed_frame: str = parameter(
        "odom", "Frame of the maps; must not move with the robot (REP-105)."
    )
    base_frame: str = parameter(
        "base_link", "Frame the map is centred on; its z = 0 is the ground below the robot."
    )
    camera_frame: str = parameter(
        "", "Optical frame of the camera; empty takes the frame_id of the image."
    )
    cameras: tuple[str, ...] = parameter(
        (),
        "Names of several cameras: front listens to front/image and front/camera_info. Maps come "
        "from the first; the others add views. Empty: one camera on image and camera_info.",
    )
    pose_source: Literal["tf", "odometry"] = parameter(
        "tf",
        "Pose of the robot: tf, or odometry (topic odom, with the camera mounted by /tf_static).",
    )
    image_transport: Literal["raw", "compressed"] = parameter(
        "raw",
        "raw: topic image; compressed: topic image/compressed.",
    )
    image_reliability: Literal["best_effort", "reliable"] = parameter(
        "best_effort",
        "QoS of the image subscription; reliable survives large images on a default middleware.",
    )
    rectified: Literal["auto", "true", "false"] = parameter(
        "auto",
        "Whether images are rectified (P holds) or raw (K and D hold); auto: the topic says rect.",
    )
    canonical_camera: Literal["auto", "on", "off"] = parameter(
        "auto",
        "Whether images become those of the level camera the network was trained with; auto: "
        "unless they are already, off: lenses are only straightened.",
    )
    scale_height: bool = parameter(
        True, "Whether a canonical image also makes up for another height of the camera."
    )
    ground_anchor: Literal["auto", "off"] = parameter(
        "auto",
        "Whether distances are tied to the ground that transforms give, where it is clear; off: as "
        "the network sees them.",
        live=True,
    )
    follow_ground: Literal["auto", "off"] = parameter(
        "off",
        "Whether the height band stands on the ground that the network sees, slopes of up to 12 % "
        "about z = 0 of base_frame; off: on z = 0 of base_frame.",
        live=True,
    )
    map_head: Literal["auto", "off"] = parameter(
        "auto",
        "Whether heads over maps complete them, where the checkpoint has some; "
        "off: columns by themselves.",
        live=True,
    )
    range_m: float = parameter(20.0, "Half the side of the square map, metres.", 2.0, 100.0)
    resolution: float = parameter(0.2, "Side of a cell, metres.", 0.02, 2.0)
    height_min: float = parameter(
        0.3,
        "Lower end of the obstacle band above base_frame, metres.",
        -5.0,
        20.0,
        live=True,
    )
    height_max: float = parameter(
        2.0,
        "Upper end of the obstacle band above base_frame, metres.",
        -5.0,
        20.0,
        live=True,
    )
    height_step: float = parameter(
        0.25, "Step of the density query in height, metres.", 0.02, 2.0, live=True
    )
    occupied_threshold: float = parameter(
        0.0,
        "Probability from which a cell of the trinary map is occupied; 0: the checkpoint's own.",
        0.0,
        0.99,
        live=True,
    )
    clearing_threshold: float = parameter(
        0.0,
        "Probability below which a cell that was occupied is cleared, at most occupied_threshold; "
        "0: as soon as it is no longer occupied.",
        0.0,
        0.99,
        live=True,
    )
    speckle_cells: int = parameter(
        1,
        "Groups of fewer occupied cells than this are unknown; 1: every cell counts.",
        1,
        1000,
        live=True,
    )
    completed_cells: Literal["keep", "discount", "unknown"] = parameter(
        "discount",
        "Cells inferred behind something: keep the guess, call free only what is surely free "
        "(discount), or report all as unknown.",
        live=True,
    )
    accumulate: bool = parameter(
        False,
        "Fuse the maps of all frames in a rolling one that remembers what left the image; jumps of "
        "time or pose clear it.",
    )
    map_decay: float = parameter(
        5.0,
        "With accumulate: time in which what a cell knows falls to 1/e, seconds.",
        0.1,
        3600.0,
        live=True,
    )
    map_inertia: float = parameter(
        2.0,
        "With accumulate: frames that the past of a cell weighs at most beside a new one.",
        0.5,
        50.0,
        live=True,
    )
    completed_weight: float = parameter(
        0.2,
        "With accumulate: weight of an inferred cell beside 1 for an observed one.",
        0.0,
        1.0,
        live=True,
    )
    depth_stride: int = parameter(1, "Publish depth at 1/stride of the image size.", 1, 16)
    novel_view_behind: float = parameter(
        4.0,
        "How far behind base_frame the camera of ~/novel_view hovers, metres.",
        0.0,
        50.0,
        live=True,
    )
    novel_view_above: float = parameter(
        3.0,
        "How far above base_frame the camera of ~/novel_view hovers, metres.",
        0.2,
        50.0,
        live=True,
    )
    tf_timeout: float = parameter(
        0.3,
        "How long an image waits for its pose and calibration, seconds of wall time.",
        0.0,
        10.0,
        live=True,
    )
    queue_length: int = parameter(20, "How many images may wait for their pose.", 1, 200)
    max_stamp_lead: float = parameter(
        1.0,
        "Images stamped further ahead of the node's clock than this are dropped, seconds.",
        0.05,
        3600.0,
        live=True,
    )
    max_views: int = parameter(
        4, "Views behind one map, the newest image included.", 1, 16, live=True
    )
    max_keyframes: int = parameter(8, "Earlier views kept of each camera.", 1, 64, live=True)
    min_baseline: float = parameter(
        1.0,
        "How far a camera moves before its view is kept and used beside the newest, metres.",
        0.02,
        20.0,
        live=True,
    )
    max_baseline: float = parameter(
        10.0,
        "Distance from which an earlier view is no longer used, metres.",
        0.1,
        200.0,
        live=True,
    )
    keyframe_rotation: float = parameter(
        0.26, "Turn that keeps a view without a baseline, radians.", 0.02, 3.14, live=True
    )
    max_view_age: float = parameter(
        5.0,
        "Age from which an earlier view is no longer used, seconds; bounds the harm of what moves.",
        0.05,
        600.0,
        live=True,
    )
    min_overlap: float = parameter(
        0.2,
        "Map points a further view must see, as a share of what the newest image sees.",
        0.0,
        1.0,
        live=True,
    )
    view_consistency: float = parameter(
        0.0,
        "Share of near obstacle surfaces that an earlier view must show alike to be used, against "
        "moving things; 0 uses every view.",
        0.0,
        1.0,
        live=True,
    )
    view_memory_mb: int = parameter(
        512, "Memory of all kept views; the newest stays in any case.", 1, 65536, live=True
    )
    max_speed: float = parameter(
        40.0,
        "Faster moves are jumps of the pose: between two images they clear the views, between two "
        "transforms there is no pose; metres/second.",
        0.5,
        300.0,
        live=True,
    )
    tf_gap: float = parameter(
        1.0,
        "No pose is interpolated between transforms further apart than this, seconds.",
        0.01,
        60.0,
        live=True,
    )
    silence_timeout: float = parameter(
        5.0,
        "Silence of an input, or of the model, that is an error; seconds of wall time.",
        0.5,
        3600.0,
        live=True,
    )
    inference_timeout: float = parameter(
        60.0,
        "An image that the model is not done with after this is given up, with the model: the node "
        "goes to unconfigured; seconds of wall time.",
        1.0,
        3600.0,
        live=True,
    )
    clear_on_stale: bool = parameter(
        True,
        "Whether a map that no other followed for silence_timeout is replaced, once, by one that "
        "is all unknown.",
        live=True,
    )

    def __init__(self, **values: Any) -> None:
        try:
            super().__init__(**values)
        except ValidationError as error:
            raise UserError(_sentence(error, values)) from None

    @field_validator("*", mode="before")
    @classmethod
    def _meant(cls, value: object, info: ValidationInfo) -> object:
        return RULES[str(info.field_name)].meant(value)


RULES = {name: Rule.of(name, field) for name, field in Table.model_fields.items()}
DEFAULTS: dict[str, Value] = {name: rule.default for name, rule in RULES.items()}
LIVE: frozenset[str] = frozenset(name for name, rule in RULES.items() if rule.live)


def check(name: str, value: object) -> Any:
    """The value of one parameter in its type; UserError names the parameter and its range."""
    return getattr(Table(**{name: value}), name)


def _sentence(error: ValidationError, given: dict[str, Any]) -> str:
    """The first of pydantic's complaints about what was given."""
    first = error.errors(include_url=False)[0]
    if first["type"] == "value_error":  # one of our own
        return str(first["ctx"]["error"])
    name = str(first["loc"][0])
    if name not in RULES:
        return f"unknown parameter '{name}'{did_you_mean(name, RULES)}"
    of_an_item = len(first["loc"]) > 1
    return RULES[name].sentence(first["type"], given[name] if of_an_item else first["input"])
