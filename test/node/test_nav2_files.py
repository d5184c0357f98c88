"""The Nav2 files: no key that its reader does not know, every key at the level where it acts.

The tables are the parameters that Nav2 reads (Jazzy to main, August 2026) and that
spatio_temporal_voxel_layer reads (branch ros2, March 2024), each at its level. What only
the latter's source tells is in test_stvl_file.py.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
COSTMAPS = ("nav2_static_layer", "nav2_voxel_layer", "nav2_stvl")

# Read at the level of the costmap only, by the costmap or by its layers.
COSTMAP = {
    *("always_send_full_costmap", "filters", "footprint", "footprint_padding", "global_frame"),
    *("height", "initial_transform_timeout", "lethal_cost_threshold", "map_vis_z", "origin_x"),
    *("origin_y", "plugins", "publish_frequency", "resolution", "robot_base_frame", "robot_radius"),
    *("rolling_window", "track_unknown_space", "transform_tolerance", "trinary_costmap"),
    *("unknown_cost_value", "update_frequency", "use_maximum", "width"),
}
OBSTACLE = {
    *("plugin", "enabled", "footprint_clearing_enabled", "min_obstacle_height"),
    *("max_obstacle_height", "combination_method", "observation_sources"),
}
LAYERS = {
    "nav2_costmap_2d::StaticLayer": {
        *("plugin", "enabled", "map_topic", "map_subscribe_transient_local"),
        *("subscribe_to_updates", "footprint_clearing_enabled", "restore_cleared_footprint"),
        "resize_master",  # from navigation2#6488 on
    },
    "nav2_costmap_2d::ObstacleLayer": OBSTACLE,
    "nav2_costmap_2d::VoxelLayer": {
        *OBSTACLE,
        *("z_voxels", "origin_z", "z_resolution", "unknown_threshold", "mark_threshold"),
        "publish_voxel_map",
    },
    "nav2_costmap_2d::DenoiseLayer": {
        *("plugin", "enabled", "minimal_group_size", "group_connectivity_type"),
    },
    "nav2_costmap_2d::InflationLayer": {
        *("plugin", "enabled", "inflation_radius", "cost_scaling_factor", "inflate_unknown"),
        "inflate_around_unknown",
    },
    "spatio_temporal_voxel_layer/SpatioTemporalVoxelLayer": {
        *("plugin", "enabled", "observation_sources", "transform_tolerance", "publish_voxel_map"),
        *("voxel_size", "combination_method", "mark_threshold", "update_footprint_enabled"),
        *("track_unknown_space", "decay_model", "voxel_decay", "mapping_mode"),
        "map_save_duration",
    },
}
COMMON_SOURCE = {
    *("topic", "sensor_frame", "observation_persistence", "expected_update_rate", "data_type"),
    *("min_obstacle_height", "max_obstacle_height", "inf_is_valid", "marking", "clearing"),
}
NAV2_SOURCE = {
    *COMMON_SOURCE,
    *("obstacle_max_range", "obstacle_min_range", "raytrace_max_range", "raytrace_min_range"),
}
SOURCES = {
    "nav2_costmap_2d::ObstacleLayer": NAV2_SOURCE,
    "nav2_costmap_2d::VoxelLayer": NAV2_SOURCE,
    "spatio_temporal_voxel_layer/SpatioTemporalVoxelLayer": {
        *COMMON_SOURCE,
        *("obstacle_range", "min_z", "max_z", "vertical_fov_angle", "vertical_fov_padding"),
        *("horizontal_fov_angle", "decay_acceleration", "filter", "voxel_min_points"),
        *("clear_after_reading", "enabled", "model_type"),
    },
}
MONITOR = {
    *("base_frame_id", "odom_frame_id", "cmd_vel_in_topic", "cmd_vel_out_topic", "state_topic"),
    *("transform_tolerance", "source_timeout", "base_shift_correction", "stop_pub_timeout"),
    *("polygons", "observation_sources"),
}
POLYGON = {"type", "action_type", "min_points", "enabled", "visualize", "polygon_pub_topic"}
ACTIONS = {
    "slowdown": {"slowdown_ratio", "points"},
    "approach": {"time_before_collision", "simulation_time_step", "footprint_topic"},
}
MONITOR_SOURCE = {"type", "topic", "enabled", "source_timeout"}
MONITOR_SOURCES = {
    "pointcloud": {"min_height", "max_height", "min_range", "use_global_height"},
    "costmap": {"cost_threshold", "treat_unknown_as_obstacle"},  # from Lyrical on
}


def text(name: str) -> str:
    return (ROOT / "config" / f"{name}.yaml").read_text()


def costmap(name: str) -> dict[str, Any]:
    content = yaml.safe_load(text(name))
    assert set(content) == {"local_costmap"}
    parameters: dict[str, Any] = content["local_costmap"]["local_costmap"]["ros__parameters"]
    return parameters


def misplaced(parameters: dict[str, Any]) -> set[str]:
    """Keys that nothing reads where they stand."""
    plugins = parameters["plugins"]
    wrong = set(parameters) - COSTMAP - set(plugins)
    for name in plugins:
        layer = parameters[name]
        kind = layer["plugin"]
        sources = layer.get("observation_sources", "").split()
        wrong |= {f"{name}.{key}" for key in set(layer) - LAYERS[kind] - set(sources)}
        for source in sources:
            unread = set(layer[source]) - SOURCES[kind]
            wrong |= {f"{name}.{source}.{key}" for key in unread}
    return wrong


@pytest.mark.parametrize("name", COSTMAPS)
def test_every_key_of_a_costmap_acts_where_it_stands(name: str) -> None:
    assert misplaced(costmap(name)) == set()


@pytest.mark.parametrize("key", ["use_maximum", "transform_tolerance", "track_unknown_space"])
def test_what_the_static_layer_does_not_read_is_seen(key: str) -> None:
    parameters = costmap("nav2_static_layer")
    parameters["kdbts_layer"][key] = parameters.pop(key)
    assert misplaced(parameters) == {f"kdbts_layer.{key}"}


def test_the_static_layer_takes_the_latched_map_of_three_values() -> None:
    parameters = costmap("nav2_static_layer")
    layer = parameters["kdbts_layer"]
    assert layer["plugin"] == "nav2_costmap_2d::StaticLayer"
    assert layer["map_topic"] == "/kdbts/occupancy"
    assert layer["map_subscribe_transient_local"] is True
    assert parameters["trinary_costmap"] is True


def test_unknown_cells_of_ours_take_nothing_from_other_layers() -> None:
    parameters = costmap("nav2_static_layer")
    assert parameters["plugins"][0] == "kdbts_layer"
    assert parameters["use_maximum"] is False
    assert parameters["track_unknown_space"] is False


def test_no_costmap_is_resized_to_our_map() -> None:
    parameters = costmap("nav2_static_layer")
    assert parameters["rolling_window"] is True
    assert parameters["kdbts_layer"]["resize_master"] is False


@pytest.mark.parametrize("name", COSTMAPS)
def test_frames_are_those_of_the_node(name: str) -> None:
    node = yaml.safe_load(text("kdbts"))["/**"]["ros__parameters"]
    parameters = costmap(name)
    assert parameters["global_frame"] == node["fixed_frame"]
    assert parameters["robot_base_frame"] == node["base_frame"]
    ratio = node["resolution"] / parameters["resolution"]
    assert abs(ratio - round(ratio)) < 1e-9, "cells share their edges"


@pytest.mark.parametrize("name", COSTMAPS[1:])
def test_cells_mark_and_only_what_is_seen_clears(name: str) -> None:
    (layer,) = [v for k, v in costmap(name).items() if k.startswith("kdbts_")]
    mark, clear = layer["mark"], layer["clear"]
    # A ray to a completed cell crosses the surface before it.
    assert (mark["topic"], clear["topic"]) == ("/kdbts/points", "/kdbts/surface_points")
    assert (mark["marking"], mark["clearing"]) == (True, False)
    assert (clear["marking"], clear["clearing"]) == (False, True)
    # The range is measured from the frame of a cloud: of the base, and of the camera.
    assert "sensor_frame" not in mark and "sensor_frame" not in clear


@pytest.mark.parametrize("name", COSTMAPS[1:])
def test_no_point_of_the_node_is_cut_off(name: str) -> None:
    node = yaml.safe_load(text("kdbts"))["/**"]["ros__parameters"]
    parameters = costmap(name)
    (layer,) = [v for k, v in parameters.items() if k.startswith("kdbts_")]
    mark, clear = layer["mark"], layer["clear"]
    for limits in (mark, layer):
        low, high = limits.get("min_obstacle_height", -9), limits.get("max_obstacle_height", 9)
        assert low < node["height_min"] and high > node["height_max"]
    marks = mark.get("obstacle_max_range", mark.get("obstacle_range"))
    assert parameters["width"] / 2 * 2**0.5 < marks
    if name == "nav2_voxel_layer":
        assert marks < clear["raytrace_max_range"]


@pytest.mark.parametrize("name", COSTMAPS[1:])
def test_a_point_fills_its_cell_of_the_costmap(name: str) -> None:
    node = yaml.safe_load(text("kdbts"))["/**"]["ros__parameters"]
    parameters = costmap(name)
    (layer,) = [v for k, v in parameters.items() if k.startswith("kdbts_")]
    assert parameters["resolution"] == node["resolution"] == layer.get("voxel_size", 0.2)
    # Nav2's voxel layer wants more than its threshold, the other as many.
    assert layer["mark_threshold"] + (name == "nav2_voxel_layer") == 1


def test_the_camera_is_inside_the_voxels() -> None:
    layer = costmap("nav2_voxel_layer")["kdbts_voxel_layer"]
    top = layer["origin_z"] + layer["z_voxels"] * layer["z_resolution"]
    assert layer["z_voxels"] <= 16 and top > layer["max_obstacle_height"]


def test_every_key_of_the_collision_monitor_is_read() -> None:
    parameters = yaml.safe_load(text("nav2_collision_monitor"))["collision_monitor"][
        "ros__parameters"
    ]
    polygons = {name: parameters.pop(name) for name in parameters["polygons"]}
    sources = {k: parameters.pop(k) for k in list(parameters) if k.startswith("kdbts_")}
    assert set(parameters) <= MONITOR
    for polygon in polygons.values():
        assert set(polygon) <= POLYGON | ACTIONS[polygon["action_type"]]
    for source in sources.values():
        assert set(source) <= MONITOR_SOURCE | MONITOR_SOURCES[source["type"]]
    node = yaml.safe_load(text("kdbts"))["/**"]["ros__parameters"]
    points = sources["kdbts_points"]
    assert points["topic"] == "/kdbts/points"
    assert (points["min_height"], points["max_height"]) == (node["height_min"], node["height_max"])
    listed = [sources[name]["type"] for name in parameters["observation_sources"]]
    assert listed == ["pointcloud"], "the type costmap keeps older monitors from starting"


def test_the_monitor_reads_whole_costmaps() -> None:
    monitor = yaml.safe_load(text("nav2_collision_monitor"))["collision_monitor"]
    assert monitor["ros__parameters"]["kdbts_costmap"]["topic"].endswith("/costmap_raw")
    assert costmap("nav2_static_layer")["always_send_full_costmap"] is True
