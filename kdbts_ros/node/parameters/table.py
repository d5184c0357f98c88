"""Every parameter of the node, said once: default, range, meaning, and whether it is live.

ROS descriptors, ``config/kdbts.yaml`` and ``docs/parameters.md`` are made from this table:

    python -m kdbts_ros.node.parameters > config/kdbts.yaml
    python -m kdbts_ros.node.parameters --markdown > docs/parameters.md
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, fields

from kdbts_ros.datasets.ros.pose_rules import frame_name
from kdbts_ros.errors import UserError
from kdbts_ros.node.parameters.rules import Rule, Value, limits, literal
from kdbts_ros.node.parameters.rules import rule as _rule

# A map of more cells than this is a mistyped range or resolution, not a wish.
MAX_CELLS = 4_000_000
# What a camera may be called: it becomes the first part of its topics' names.
CAMERA_NAME = re.compile(r"[a-zA-Z_]\w*(/[a-zA-Z_]\w*)*")


@dataclass(frozen=True)
class Parameters:
    """A consistent set of values.

    Raises:
        UserError: a value outside its range, or values that contradict each other.
    """

    checkpoint: str = _rule(
        "kdbts",
        "Weights: a shipped name (kdbts or mvbts; kdbts_fine or mvbts_fine, better and four times "
        "as slow on a CPU; bts), a .safetensors file, or an original .pt checkpoint.",
    )
    head: str = _rule(
        "auto",
        "Head of an original checkpoint that holds several; auto takes the only one.",
        choices=("auto", "bts", "kdbts", "mvbts", "simple_multiview"),
    )
    device: str = _rule("auto", "Where the network runs: auto, cpu, cuda or cuda:N.")
    precision: str = _rule(
        "auto", "Convolutions of the network.", choices=("auto", "float32", "bfloat16", "float16")
    )
    autostart: bool = _rule(
        True, "Configure and activate at start; false leaves that to a lifecycle manager."
    )
    mode: str = _rule(
        "auto",
        "kdbts: maps of one image; mvbts: of several, kept with their poses; auto: of one until "
        "others add something and while poses fail, where the weights can fuse views.",
        choices=("kdbts", "mvbts", "auto"),
    )
    fixed_frame: str = _rule("odom", "Frame of the maps; must not move with the robot (REP-105).")
    base_frame: str = _rule(
        "base_link", "Frame the map is centred on; its z = 0 is the ground below the robot."
    )
    camera_frame: str = _rule(
        "", "Optical frame of the camera; empty takes the frame_id of the image."
    )
    cameras: tuple[str, ...] = _rule(
        (),
        "Names of several cameras: front listens to front/image and front/camera_info. Maps come "
        "from the first; the others add views. Empty: one camera on image and camera_info.",
    )
    pose_source: str = _rule(
        "tf",
        "Pose of the robot: tf, or odometry (topic odom, with the camera mounted by /tf_static).",
        choices=("tf", "odometry"),
    )
    image_transport: str = _rule(
        "raw",
        "raw: topic image; compressed: topic image/compressed.",
        choices=("raw", "compressed"),
    )
    image_reliability: str = _rule(
        "best_effort",
        "QoS of the image subscription; reliable survives large images on a default middleware.",
        choices=("best_effort", "reliable"),
    )
    rectified: str = _rule(
        "auto",
        "Whether images are rectified (P holds) or raw (K and D hold); auto: the topic says rect.",
        choices=("auto", "true", "false"),
    )
    canonical_camera: str = _rule(
        "auto",
        "Whether images become those of the level camera the network was trained with; auto: "
        "unless they are already, off: lenses are only straightened.",
        choices=("auto", "on", "off"),
    )
    scale_height: bool = _rule(
        True, "Whether a canonical image also makes up for another height of the camera."
    )
    range_m: float = _rule(20.0, "Half the side of the square map, metres.", low=2.0, high=100.0)
    resolution: float = _rule(0.2, "Side of a cell, metres.", low=0.02, high=2.0)
    height_min: float = _rule(
        0.3,
        "Lower end of the obstacle band above base_frame, metres.",
        low=-5.0,
        high=20.0,
        live=True,
    )
    height_max: float = _rule(
        2.0,
        "Upper end of the obstacle band above base_frame, metres.",
        low=-5.0,
        high=20.0,
        live=True,
    )
    height_step: float = _rule(
        0.25, "Step of the density query in height, metres.", low=0.02, high=2.0, live=True
    )
    occupied_threshold: float = _rule(
        0.0,
        "Probability from which a cell of the trinary map is occupied; 0: the checkpoint's own.",
        low=0.0,
        high=0.99,
        live=True,
    )
    completed_cells: str = _rule(
        "discount",
        "Cells inferred behind something: keep the guess, call free only what is surely free "
        "(discount), or report all as unknown.",
        choices=("keep", "discount", "unknown"),
        live=True,
    )
    accumulate: bool = _rule(
        False,
        "Fuse the maps of all frames in a rolling one that remembers what left the image; jumps of "
        "time or pose clear it.",
    )
    map_decay: float = _rule(
        5.0,
        "With accumulate: time in which what a cell knows falls to 1/e, seconds.",
        low=0.1,
        high=3600.0,
        live=True,
    )
    map_inertia: float = _rule(
        2.0,
        "With accumulate: frames that the past of a cell weighs at most beside a new one.",
        low=0.5,
        high=50.0,
        live=True,
    )
    completed_weight: float = _rule(
        0.2,
        "With accumulate: weight of an inferred cell beside 1 for an observed one.",
        low=0.0,
        high=1.0,
        live=True,
    )
    depth_stride: int = _rule(1, "Publish depth at 1/stride of the image size.", low=1, high=16)
    tf_timeout: float = _rule(
        0.3,
        "How long an image waits for its pose and calibration, seconds of wall time.",
        low=0.0,
        high=10.0,
        live=True,
    )
    queue_length: int = _rule(20, "How many images may wait for their pose.", low=1, high=200)
    max_stamp_lead: float = _rule(
        1.0,
        "Images stamped further ahead of the node's clock than this are dropped, seconds.",
        low=0.05,
        high=3600.0,
        live=True,
    )
    max_views: int = _rule(
        4, "Views behind one map, the newest image included.", low=1, high=16, live=True
    )
    max_keyframes: int = _rule(8, "Earlier views kept of each camera.", low=1, high=64, live=True)
    min_baseline: float = _rule(
        1.0,
        "How far a camera moves before its view is kept and used beside the newest, metres.",
        low=0.02,
        high=20.0,
        live=True,
    )
    max_baseline: float = _rule(
        10.0,
        "Distance from which an earlier view is no longer used, metres.",
        low=0.1,
        high=200.0,
        live=True,
    )
    keyframe_rotation: float = _rule(
        0.26, "Turn that keeps a view without a baseline, radians.", low=0.02, high=3.14, live=True
    )
    max_view_age: float = _rule(
        5.0,
        "Age from which an earlier view is no longer used, seconds; bounds the harm of what moves.",
        low=0.05,
        high=600.0,
        live=True,
    )
    min_overlap: float = _rule(
        0.2,
        "Map points a further view must see, as a share of what the newest image sees.",
        low=0.0,
        high=1.0,
        live=True,
    )
    view_consistency: float = _rule(
        0.0,
        "Share of near obstacle surfaces that an earlier view must show alike to be used, against "
        "moving things; 0 uses every view.",
        low=0.0,
        high=1.0,
        live=True,
    )
    view_memory_mb: int = _rule(
        512, "Memory of all kept views; the newest stays in any case.", low=1, high=65536, live=True
    )
    max_speed: float = _rule(
        40.0,
        "Faster moves are jumps of the pose: between two images they clear the views, between two "
        "transforms there is no pose; metres/second.",
        low=0.5,
        high=300.0,
        live=True,
    )
    tf_gap: float = _rule(
        1.0,
        "No pose is interpolated between transforms further apart than this, seconds.",
        low=0.01,
        high=60.0,
        live=True,
    )
    silence_timeout: float = _rule(
        5.0,
        "Silence of an input that turns into a warning, seconds of wall time.",
        low=0.5,
        high=3600.0,
        live=True,
    )

    def __post_init__(self) -> None:
        for entry in fields(self):
            checked = RULES[entry.name].check(entry.name, entry.default, getattr(self, entry.name))
            object.__setattr__(self, entry.name, checked)
        for name in ("fixed_frame", "base_frame", "camera_frame"):
            # Published as well, and tf2 takes no name that begins with a slash.
            object.__setattr__(self, name, frame_name(getattr(self, name)))
        if self.height_min >= self.height_max:
            raise UserError(
                f"parameter 'height_min' ({self.height_min:g}) must lie below 'height_max' "
                f"({self.height_max:g})"
            )
        cells = math.ceil(2 * self.range_m / self.resolution) ** 2
        if cells > MAX_CELLS:
            raise UserError(
                f"a map of {cells:,} cells is too large: lower 'range_m' ({self.range_m:g}) or "
                f"raise 'resolution' ({self.resolution:g})"
            )
        if self.min_baseline >= self.max_baseline:
            raise UserError(
                f"parameter 'min_baseline' ({self.min_baseline:g}) must lie below 'max_baseline' "
                f"({self.max_baseline:g})"
            )
        self._check_cameras()
        for name in ("checkpoint", "device", "fixed_frame", "base_frame"):
            if not getattr(self, name):
                raise UserError(f"parameter '{name}' must not be empty")

    def _check_cameras(self) -> None:
        for name in self.cameras:
            if not CAMERA_NAME.fullmatch(name):
                raise UserError(f"parameter 'cameras': '{name}' cannot be part of a topic's name")
        if len(set(self.cameras)) < len(self.cameras):
            raise UserError("parameter 'cameras' names a camera twice")
        if len(self.cameras) > 1 and self.mode == "kdbts":
            raise UserError(
                "parameter 'cameras' names several, but mode kdbts uses one: set mode to auto or "
                "mvbts"
            )
        if len(self.cameras) > 1 and self.camera_frame:
            raise UserError(
                "parameter 'camera_frame' holds for one camera: leave it empty, so that each of "
                "'cameras' has the frame_id of its images"
            )


RULES: dict[str, Rule] = {f.name: f.metadata["rule"] for f in fields(Parameters)}
DEFAULTS: dict[str, Value] = {f.name: f.default for f in fields(Parameters)}  # type: ignore[misc]
LIVE: frozenset[str] = frozenset(name for name, rule in RULES.items() if rule.live)


def as_yaml() -> str:
    """``config/kdbts.yaml``: the defaults, with their meanings as comments."""
    lines = [
        "# Parameters of kdbts_node and their defaults. Made by",
        "# `python -m kdbts_ros.node.parameters`; copy it and pass yours as params_file.",
        "/**:",
        "  ros__parameters:",
    ]
    for name, rule in RULES.items():
        notes = [n for n in (limits(rule), "live" if rule.live else "") if n]
        lines.append(f"    # {rule.meaning}" + (f" ({'; '.join(notes)})" if notes else ""))
        lines.append(f"    {name}: {literal(DEFAULTS[name])}")
    return "\n".join(lines) + "\n"


def as_markdown() -> str:
    """``docs/parameters.md``: the same table for readers."""
    lines = [
        "# Parameters of `kdbts_node`",
        "",
        "Made by `python -m kdbts_ros.node.parameters --markdown`. Live parameters may change",
        "while the node is active; the others are read by `configure` and refused afterwards. An",
        "unchanged value is no change: `ros2 param load` takes what `ros2 param dump` wrote, in",
        "any state.",
        "",
        "`on`, `yes` and `true` mean one thing, `off`, `no` and `false` the other, bare or quoted,",
        "in launch arguments as in files. A name that looks like a number or a switch needs quotes",
        "within quotes: `-p fixed_frame:='\"1\"'`.",
        "",
        "| parameter | default | allowed | live | meaning |",
        "|---|---|---|---|---|",
    ]
    for name, rule in RULES.items():
        default = literal(DEFAULTS[name])
        live = "yes" if rule.live else ""
        lines.append(f"| `{name}` | `{default}` | {limits(rule)} | {live} | {rule.meaning} |")
    return "\n".join(lines) + "\n"
