"""The parameter table: limits, and the files made from it."""

from __future__ import annotations

from pathlib import Path
from typing import Any, get_args

import pytest
import yaml

from kdbts_ros.errors import UserError
from kdbts_ros.node.parameters.files import as_markdown, as_yaml
from kdbts_ros.node.parameters.rules import same
from kdbts_ros.node.parameters.table import (
    DEFAULTS,
    LIVE,
    RULES,
    check,
)
from kdbts_ros.node.parameters.values import Parameters

ROOT = Path(__file__).resolve().parents[3]


@pytest.mark.parametrize(
    ("made", "file"), [(as_yaml, "config/kdbts.yaml"), (as_markdown, "docs/parameters.md")]
)
def test_the_files_are_those_the_table_makes(made: Any, file: str) -> None:
    assert (ROOT / file).read_text() == made(), f"make {file} again: see parameters.py"


def test_the_yaml_says_the_defaults_in_their_types() -> None:
    values = yaml.safe_load(as_yaml())["/**"]["ros__parameters"]
    assert values.pop("cameras") == [""], "ROS has no empty list of strings"
    defaults = {name: value for name, value in DEFAULTS.items() if name != "cameras"}
    assert values == defaults
    assert {k: type(v) for k, v in values.items()} == {k: type(v) for k, v in defaults.items()}


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"resolution": 0.0}, r"'resolution' must lie in \[0.02, 2\], got 0"),
        ({"resolution": "fine"}, "'resolution' must be a number"),
        ({"resolution": float("nan")}, "'resolution' must be finite"),
        ({"depth_stride": 1.5}, "'depth_stride' must be an integer"),
        ({"depth_stride": True}, "'depth_stride' must be an integer"),
        ({"autostart": 1}, "'autostart' must be true or false"),
        ({"pose_source": "gps"}, "one of tf, odometry, got 'gps'"),
        ({"height_min": 2.0, "height_max": 1.0}, "'height_min' .* below 'height_max'"),
        ({"range_m": 100.0, "resolution": 0.02}, "too large"),
        ({"fixed_frame": ""}, "'fixed_frame' must not be empty"),
        ({"cameras": "front"}, "'cameras' must be a list of strings"),
        ({"cameras": ["a", "a"]}, "names a camera twice"),
        ({"cameras": ["front left"]}, "'front left' cannot be part of a topic's name"),
        ({"cameras": ["a", "b"], "mode": "kdbts"}, "mode kdbts uses one"),
        ({"cameras": ["a", "b"], "camera_frame": "c"}, "'camera_frame' holds for one camera"),
        ({"min_baseline": 5.0, "max_baseline": 4.0}, "'min_baseline' .* below 'max_baseline'"),
        (
            {"occupied_threshold": 0.4, "clearing_threshold": 0.5},
            r"'clearing_threshold' \(0.5\) must not exceed 'occupied_threshold' \(0.4\)",
        ),
    ],
)
def test_bad_values_name_themselves(values: dict[str, Any], words: str) -> None:
    with pytest.raises(UserError, match=words) as caught:
        Parameters(**values)
    assert "\n" not in str(caught.value)


def test_whole_numbers_and_switches_are_understood() -> None:
    assert Parameters(range_m=10).range_m == 10.0
    assert isinstance(Parameters(range_m=10).range_m, float)
    assert check("rectified", True) == "true"


# YAML 1.1 makes booleans of these, and so does ROS; in quotes they stay words.
SPELLED = {
    True: ("y", "Y", "yes", "Yes", "YES", "true", "True", "TRUE", "on", "On", "ON"),
    False: ("n", "N", "no", "No", "NO", "false", "False", "FALSE", "off", "Off", "OFF"),
}
SWITCH = {True: {"on", "yes", "true"}, False: {"off", "no", "false"}}


@pytest.mark.parametrize("name", sorted(RULES))
@pytest.mark.parametrize("meant", [True, False])
def test_a_switch_means_what_it_says_or_is_refused_in_a_sentence(name: str, meant: bool) -> None:
    rule, default = RULES[name], DEFAULTS[name]
    choice = SWITCH[meant] & set(rule.choices)
    for given in (meant, *SPELLED[meant]):
        if isinstance(default, bool):
            assert check(name, given) is meant
        elif choice:
            assert {check(name, given)} == choice
        elif isinstance(default, str) and not rule.choices and isinstance(given, str):
            assert check(name, given) == given, "a name may be any word"
        else:
            with pytest.raises(UserError, match=f"^parameter '{name}' must be ") as caught:
                check(name, given)
            assert "\n" not in str(caught.value)


def test_words_are_expected_somewhere() -> None:
    """The test above must meet every kind of parameter."""
    expect = {name for name, rule in RULES.items() if SWITCH[False] & set(rule.choices)}
    assert expect == {"canonical_camera", "follow_ground", "ground_anchor", "map_head", "rectified"}
    assert any(isinstance(default, bool) for default in DEFAULTS.values())


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("checkpoint", 1, "quote a name that looks like another type: checkpoint:='\"1\"'"),
        ("camera_frame", False, "got false (what ROS makes of a bare off, no and n); quote"),
        ("mode", True, "one of kdbts, mvbts, auto, got true (what ROS makes of a bare on, yes"),
        ("cameras", [True], "must be a list of strings"),
        ("resolution", None, "must be a number, got nothing"),
        ("range_m", "20", "must be a number, got '20'"),
    ],
)
def test_another_type_is_refused_with_what_cures_it(name: str, value: Any, words: str) -> None:
    with pytest.raises(UserError) as caught:
        check(name, value)
    assert words in str(caught.value)


def test_numbers_that_are_whole_are_whole_numbers() -> None:
    assert check("depth_stride", 4.0) == 4
    assert type(check("depth_stride", 4.0)) is int


def test_a_value_written_down_and_read_again_is_the_same() -> None:
    assert same(0.1 + 0.2, 0.3)
    assert not same(0.3, 0.3001)
    assert same(("front",), ("front",)) and not same((), ("front",))
    assert not same("on", "off")


def test_empty_names_are_no_cameras() -> None:
    assert Parameters(cameras=[""]).cameras == ()
    assert Parameters(cameras=["front", "", "left"]).cameras == ("front", "left")


@pytest.mark.parametrize("file", sorted((ROOT / "config").glob("*bts.yaml")), ids=lambda f: f.name)
def test_every_parameter_file_holds_good_values(file: Path) -> None:
    Parameters(**yaml.safe_load(file.read_text())["/**"]["ros__parameters"])


def test_live_parameters_need_no_new_model() -> None:
    assert {"occupied_threshold", "completed_cells", "height_min", "height_max"} <= LIVE
    assert not LIVE & {"checkpoint", "device", "precision", "fixed_frame", "autostart"}


def test_the_pipeline_takes_what_the_node_gives() -> None:
    from kdbts_ros.node.inference import loading

    values = Parameters(range_m=5.0, completed_cells="unknown", max_views=3, view_memory_mb=64)
    settings = loading.settings(values)
    assert (settings.views.max_views, settings.views.max_bytes) == (3, 64_000_000)
    assert (settings.range_m, settings.completed_cells) == (5.0, "unknown")


def test_the_network_knows_every_precision_the_node_offers() -> None:
    import torch

    from kdbts_ros.density.engines.choose import Convolutions, inference_precision

    for choice in RULES["precision"].choices:
        inference_precision(choice, torch.device("cpu"))
    assert RULES["convolutions"].choices == get_args(Convolutions)
