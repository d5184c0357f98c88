"""Where the viewer shows what: the robot's surroundings on the left, pictures and curves beside."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from kdbts_ros.datasets.bags.topics import COMPRESSED, IMAGE
from kdbts_ros.datasets.ros.topic_names import without_transport
from kdbts_ros.viewer import sdk
from kdbts_ros.viewer.messages import DIAGNOSTICS, GRID, REPORT, is_shown

# Where one looks from, in the robot's frame, m: from above its back.
_EYE, _LOOKS_AT = (-16.0, 0.0, 15.0), (7.0, 0.0, 0.0)
_MOST_PICTURES = 4
GRIDS_ARE_MISSING = (
    "no maps are recorded here: `kdbts demo --bag BAG` makes them, and drive.rrd with all of it"
)


@dataclass(frozen=True)
class Topics:
    """Topics with their types, of those that are shown.

    pictures: entities of images; the colours of cameras first, then depth, then the rest.
    grids: the first is shown, the others can be switched on.
    """

    pictures: tuple[str, ...]
    grids: tuple[str, ...]
    reports: tuple[str, ...]
    diagnostics: tuple[str, ...]

    @classmethod
    def of(cls, types: Mapping[str, str]) -> Topics:
        """The topics of a recording or of a running system."""
        shown = {t: kind for t, kind in sorted(types.items()) if is_shown(t, kind)}

        def named(*kinds: str) -> Iterable[str]:
            return (topic for topic, kind in shown.items() if kind in kinds)

        pictures = {without_transport(t) for t in named(IMAGE, COMPRESSED)}
        return cls(
            tuple(sorted(pictures, key=_picture_order)[:_MOST_PICTURES]),
            tuple(sorted(named(GRID), key=_grid_order)),
            tuple(named(REPORT)),
            tuple(named(DIAGNOSTICS)),
        )


def _picture_order(topic: str) -> tuple[bool, bool, str]:
    return "novel" in topic, "depth" in topic, topic


def _grid_order(topic: str) -> tuple[bool, bool, str]:
    return "costmap" in topic, "probability" in topic, topic


def blueprint(topics: Topics, base_frame: str) -> Any:
    """A `rerun.blueprint.Blueprint`; the view in space stays with `base_frame`."""
    rrb = sdk.load("rerun.blueprint")
    hidden = [f"- {topic}/**" for topic in topics.grids[1:]]
    space = rrb.Spatial3DView(
        name="map, cloud, cameras",
        origin="/",
        contents=["+ /**", *hidden],
        spatial_information=rrb.SpatialInformation(target_frame=base_frame),
        eye_controls=rrb.EyeControls3D(position=_EYE, look_target=_LOOKS_AT, eye_up=(0, 0, 1)),
    )
    beside = [rrb.Spatial2DView(name=topic, origin=topic) for topic in topics.pictures]
    beside += [
        rrb.TimeSeriesView(
            name="views behind a map",
            origin=topic,
            contents=[f"+ {topic}/views_used", f"+ {topic}/views_kept"],
        )
        for topic in topics.reports
    ]
    beside += [
        rrb.TextLogView(name="diagnostics", origin=topic) for topic in topics.diagnostics[:1]
    ]
    if not beside:
        return rrb.Blueprint(space, collapse_panels=True)
    columns = rrb.Horizontal(space, rrb.Vertical(*beside), column_shares=[3, 2])
    return rrb.Blueprint(columns, collapse_panels=True)
