"""From what was heard to what is wrong, in the order in which a map needs it."""

from __future__ import annotations

from kdbts_ros.datasets.ros import pose_rules as rules
from kdbts_ros.datasets.ros.camera_infos import read_lens
from kdbts_ros.datasets.ros.pose_rules import NoPose, image_frame
from kdbts_ros.datasets.ros.topic_names import is_rectified
from kdbts_ros.doctor.finding import Finding, Level
from kdbts_ros.doctor.observation import Heard, Observation
from kdbts_ros.errors import UserError
from kdbts_ros.node.reporting.counters import StreamCounters
from kdbts_ros.node.reporting.input_health import StreamSurroundings, input_status
from kdbts_ros.node.reporting.status import ERROR, STALE, WARN
from kdbts_ros.suggestions import did_you_mean

# Stamps further from now than this, s, are those of another clock.
_CLOCKS_APART = 1.0
_LEVELS: dict[int, Level] = {WARN: "note", ERROR: "bad", STALE: "bad"}


def diagnose(seen: Observation) -> list[Finding]:
    """All findings about a graph."""
    return [
        *_node(seen),
        *_camera(seen),
        _clock(seen),
        _poses(seen),
        _maps(seen),
    ]


def _node(seen: Observation) -> list[Finding]:
    name = seen.asked.node
    if seen.state is None:
        if name in seen.nodes:
            late = f"{name} starts, or has just ended: run kdbts doctor again"
            return [Finding("node", "bad", late)]
        same = [node for node in seen.nodes if node.rpartition("/")[2] == name.rpartition("/")[2]]
        if same:
            cure = f"running is {', '.join(same)}: kdbts doctor --node {same[0]}"
        else:
            cure = f"ros2 launch kdbts_ros kdbts.launch.py{did_you_mean(name, seen.nodes)}"
        others = f"{len(seen.nodes)} other nodes are seen"
        return [Finding("node", "bad", f"{name} does not run ({others}); {cure}")]
    if seen.state == "active":
        found = [Finding("node", "good", f"{name} is active")]
    elif seen.state in ("unconfigured", "inactive"):
        verb = "configure" if seen.state == "unconfigured" else "activate"
        cure = f"ros2 lifecycle set {name} {verb}"
        found = [Finding("node", "bad", f"{name} is {seen.state}; {cure}")]
    elif not seen.state:
        found = [Finding("node", "bad", f"{name} does not answer: it is busy, or hangs")]
    else:
        found = [Finding("node", "bad", f"{name} is {seen.state}: wait, or look at its log")]
    for line, (level, sentence) in seen.complaints.items():
        found.append(Finding(f"node, {line}", _LEVELS[level], sentence))
    return found


def _camera(seen: Observation) -> list[Finding]:
    """By the very rules of the node, with the doctor's own ears."""
    heard, infos = seen.images, seen.infos
    account = StreamCounters(
        image_at=seen.seconds if heard.count else None,
        frames_in=heard.count,
        calibration_at=seen.seconds if infos.count else None,
    )
    around = StreamSurroundings(
        "",
        heard.topic,
        infos.topic,
        reliability=str(seen.parameter("image_reliability", "best_effort")),
        kind=heard.kind,
        images=heard.publishers,
        infos=infos.publishers,
        published_since=0.0 if heard.publishers else None,
        other_images=seen.other_images,
        other_infos=seen.other_infos,
    )
    # Whatever was listened to for the whole look and said nothing is silent.
    status = input_status(account, around, 0.0, seen.seconds, 0.5 * seen.seconds)
    if not heard.count or not infos.count:
        return [Finding("camera", "bad", status.message)]
    found = [Finding("camera", _LEVELS.get(status.level, "good"), _rates(seen))]
    rectified = seen.parameter("rectified", "auto")
    straight = is_rectified(heard.topic) if rectified == "auto" else rectified in ("true", True)
    try:
        lens = read_lens(seen.info, straight)
    except UserError as error:
        return [*found, Finding("camera_info", "bad", str(error))]
    camera = lens.camera
    kind = "straight" if straight else "raw"
    sentence = f"{camera.width}x{camera.height}, fx {camera.fx:.0f}, images taken as {kind}"
    return [*found, Finding("camera_info", "good", sentence)]


def _rates(seen: Observation) -> str:
    rate = seen.images.count / seen.seconds
    return f"{seen.images.topic} has {rate:.1f} images a second, with camera_info"


def _clock(seen: Observation) -> Finding:
    simulated = bool(seen.parameters.get("use_sim_time", bool(seen.clocks)))
    if simulated and not seen.clocks:
        cure = "play the recording with --clock, or set use_sim_time:=false"
        return Finding("clock", "bad", f"use_sim_time is set but nobody publishes /clock: {cure}")
    if len(seen.clocks) > 1:
        named = " and ".join(seen.clocks)
        return Finding("clock", "bad", f"/clock is published by {named}: stop all but one")
    if seen.clocks and not simulated:
        cure = "start the node with use_sim_time:=true"
        return Finding("clock", "bad", f"{seen.clocks[0]} publishes /clock, but the node lives by "
                       f"the computer's: {cure}")  # fmt: skip
    now_ns = seen.clock_ns if simulated else seen.now_ns
    if now_ns is None:
        return Finding("clock", "bad", f"{seen.clocks[0]} publishes /clock, but nothing came on it "
                       f"in {seen.seconds:g} s: does the recording pause?")  # fmt: skip
    if not seen.images.stamps_ns:
        return Finding("clock", "note", "no image to compare the clocks with")
    newest = seen.images.stamps_ns[-1]
    if newest == 0:
        return Finding("clock", "bad", "images have no stamp: the driver must set header.stamp")
    ahead = (newest - now_ns) / 1e9
    if simulated and abs(ahead) > _CLOCKS_APART + seen.seconds:
        return Finding("clock", "note", f"images are stamped {ahead:+.1f} s from /clock: another "
                       "recording's clock, or one that has just begun again")  # fmt: skip
    if simulated:
        return Finding("clock", "good", "images and /clock agree")
    if ahead > _CLOCKS_APART:
        return Finding("clock", "bad", f"images are stamped {ahead:.1f} s in the future: "
                       "synchronise the camera's clock")  # fmt: skip
    if ahead < -_CLOCKS_APART - seen.seconds:
        return Finding("clock", "note", f"images are {-ahead:.1f} s old when they arrive: another "
                       "clock, or a recording without --clock")  # fmt: skip
    return Finding("clock", "good", "images are stamped by the clock of this computer")


def _poses(seen: Observation) -> Finding:
    world = str(seen.parameter("fixed_frame", seen.asked.world))
    base = str(seen.parameter("base_frame", seen.asked.base))
    told = f"{seen.moving} moving and {seen.static} static transforms were heard"
    if not seen.images.stamps_ns:
        frames = ", ".join(seen.tree.frames) or "none"
        return Finding("poses", "note", f"no image that needs one; {told}, of frames {frames}")
    told_frame = seen.info.header.frame_id if seen.info is not None else ""
    camera = str(seen.parameter("camera_frame", seen.asked.camera_frame))
    camera = camera or image_frame(seen.images.frame_id, told_frame)
    why: NoPose | None = None
    for stamp_ns in seen.images.stamps_ns:
        try:
            seen.tree.lookup(world, camera, stamp_ns)
            seen.tree.lookup(world, base, stamp_ns)
        except NoPose as reason:
            # The newest image may be younger than the newest transform: any that has one will do.
            why = why or reason
            continue
        return Finding("poses", "good", f"{world} -> {base} -> {camera} at the stamps of images")
    assert why is not None
    cure = ""
    if why.reason in (rules.NO_TF, rules.DISCONNECTED):
        cure = "; send it, or set fixed_frame, base_frame or camera_frame to what is sent"
    return Finding("poses", "bad", f"{why.reason}: {why.detail}{cure} ({told})")


def _maps(seen: Observation) -> Finding:
    maps: Heard = seen.maps
    if maps.count > 1 or (maps.count and _fresh(seen)):
        return Finding("maps", "good", f"{maps.count / seen.seconds:.1f} a second on {maps.topic}")
    if maps.count:
        return Finding("maps", "bad", f"the map on {maps.topic} is an old one, and none followed "
                       f"in {seen.seconds:g} s")  # fmt: skip
    return Finding("maps", "bad", f"none came on {maps.topic} in {seen.seconds:g} s")


def _fresh(seen: Observation) -> bool:
    """Whether the one map is of an image that was heard as well."""
    stamps = seen.images.stamps_ns
    return bool(stamps and seen.maps.stamps_ns and seen.maps.stamps_ns[-1] >= stamps[0])
