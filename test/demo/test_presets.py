"""A demo of a place sets the node as users would there, and judges its maps by their own band."""

from __future__ import annotations

import pytest

from kdbts_ros.datasets.synthetic.places.kinds import INSIDE, OUTSIDE, STREET
from kdbts_ros.demo.presets import height_band, preset_for, weights_for
from kdbts_ros.demo.session import NodeSettings, node_arguments
from kdbts_ros.demo.shipped import shipped_file
from kdbts_ros.density.checkpoints.checkpoint import resolve
from kdbts_ros.errors import UserError
from kdbts_ros.yaml_files import read_yaml
from test.demo.test_recording import tape


@pytest.mark.parametrize("place", [STREET, *INSIDE, *OUTSIDE])
def test_every_place_has_weights_and_a_band(place: str) -> None:
    assert resolve(weights_for(place)).is_file()
    preset = preset_for(place)
    assert (preset is None) == (place == STREET)
    wanted = {None: (0.3, 2.0), "indoor.yaml": (0.1, 1.5), "yard.yaml": (0.15, 2.0)}
    band = height_band(preset)
    assert (band.low, band.high) == wanted[preset and preset.name]


def test_the_demo_s_own_settings_follow_the_preset() -> None:
    preset = preset_for("office")
    assert preset is not None
    settings = NodeSettings("mvbts_indoor", "cpu", "odom", "base_link", preset=preset)
    arguments = node_arguments(tape(), settings)
    assert arguments.index(str(preset)) < arguments.index("checkpoint:=mvbts_indoor")
    assert arguments[arguments.index(str(preset)) - 1] == "--params-file"
    assert "checkpoint" in read_yaml(preset)["/**"]["ros__parameters"]


def test_what_is_not_shipped_is_one_sentence() -> None:
    with pytest.raises(UserError, match=r"config/none\.yaml is not installed"):
        shipped_file("config/none.yaml")
