"""What a demo sets of the node for a kind of place: the preset that users would take there."""

from __future__ import annotations

from pathlib import Path

from kdbts_ros.datasets.synthetic.places.kinds import INSIDE, STREET
from kdbts_ros.demo.shipped import shipped_file
from kdbts_ros.density.maps.grid import HeightBand
from kdbts_ros.node.parameters.values import Parameters
from kdbts_ros.yaml_files import read_yaml

# Several views, as the demo drives with one camera past everything.
STREET_WEIGHTS, PLACE_WEIGHTS = "mvbts", "mvbts_indoor"


def weights_for(place: str) -> str:
    """The shipped checkpoint that knows a place."""
    return STREET_WEIGHTS if place == STREET else PLACE_WEIGHTS


def preset_for(place: str) -> Path | None:
    """The parameter file of a place, None for a street, which the defaults are made for."""
    if place == STREET:
        return None
    return shipped_file("config/indoor.yaml" if place in INSIDE else "config/yard.yaml")


def height_band(preset: Path | None) -> HeightBand:
    """The band of the maps that a node with this preset makes."""
    defaults = Parameters()
    told = {} if preset is None else read_yaml(preset)["/**"]["ros__parameters"]
    low, high = (
        float(told.get(name, getattr(defaults, name))) for name in ("height_min", "height_max")
    )
    return HeightBand(low, high)
