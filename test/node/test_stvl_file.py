"""nav2_stvl.yaml: what spatio_temporal_voxel_layer makes of its values.

Rules from its source (branch ros2, March 2024), which no documentation tells.
"""

from __future__ import annotations

from math import atan, cos, sin, tan
from typing import Any

import numpy as np
import pytest
import yaml

from test.node.test_nav2_files import LAYERS, SOURCES, costmap

STVL = "spatio_temporal_voxel_layer/SpatioTemporalVoxelLayer"
# The defaults with which the layer declares its parameters. One that is set to a value of another
# type ends the costmap.
LAYER: dict[str, Any] = yaml.safe_load("""
    {observation_sources: "", transform_tolerance: 0.2, enabled: true, publish_voxel_map: false,
     voxel_size: 0.05, combination_method: 1, mark_threshold: 0, update_footprint_enabled: true,
     track_unknown_space: false, decay_model: 0, voxel_decay: -1.0, mapping_mode: false,
     map_save_duration: 60.0}
""")
SOURCE: dict[str, Any] = yaml.safe_load("""
    {topic: "", sensor_frame: "", observation_persistence: 0.0, expected_update_rate: 0.0,
     data_type: PointCloud2, min_obstacle_height: 0.0, max_obstacle_height: 3.0,
     inf_is_valid: false, marking: true, clearing: false, obstacle_range: 2.5, min_z: 0.0,
     max_z: 10.0, vertical_fov_angle: 0.7, vertical_fov_padding: 0.0, horizontal_fov_angle: 1.04,
     decay_acceleration: 0.0, filter: passthrough, voxel_min_points: 0,
     clear_after_reading: false, enabled: true, model_type: 0}
""")
# The camera for which the angles are: KITTI's of September 26, 2011.
WIDTH, HEIGHT, FOCAL = 1242, 375, 721.5377
NETWORKS_BEGIN = 3.0


def layer() -> dict[str, Any]:
    found: dict[str, Any] = costmap("nav2_stvl")["kdbts_stvl_layer"]
    return found


def corners(horizontal: float, vertical: float) -> np.ndarray:
    """The layer's corners of a view: unit vectors, turned about y, then about x."""
    found = []
    for h in (horizontal / 2, -horizontal / 2):
        for v in (vertical / 2, -vertical / 2):
            about_x = np.array([[1, 0, 0], [0, cos(v), -sin(v)], [0, sin(v), cos(v)]])
            about_y = np.array([[cos(h), 0, sin(h)], [0, 1, 0], [-sin(h), 0, cos(h)]])
            found.append(about_x @ about_y @ [0, 0, 1])
    return np.array(found)


def view() -> np.ndarray:
    clear = layer()["clear"]
    return corners(clear["horizontal_fov_angle"], clear["vertical_fov_angle"])


def test_the_tables_are_those_of_the_levels() -> None:
    assert set(LAYER) | {"plugin"} == LAYERS[STVL]
    assert set(SOURCE) == SOURCES[STVL]


def test_every_value_has_the_type_that_the_layer_declares() -> None:
    written = layer()
    levels = [(written, LAYER), (written["mark"], SOURCE), (written["clear"], SOURCE)]
    for level, defaults in levels:
        for key in set(level) & set(defaults):
            assert type(level[key]) is type(defaults[key]), key


@pytest.mark.parametrize(("horizontal", "vertical"), [(1.38, 0.5), (0.9, 0.7), (1.9, 1.3)])
def test_the_planes_of_a_view_go_through_its_corners(horizontal: float, vertical: float) -> None:
    found = corners(horizontal, vertical)
    assert found[:, 2] == pytest.approx(cos(horizontal / 2) * cos(vertical / 2))
    # Where a side plane cuts the horizon: wider than the angle that was given.
    sides = abs(found[:, 0] / found[:, 2])
    assert sides == pytest.approx(tan(horizontal / 2) / cos(vertical / 2))


def test_marks_are_cleared_from_where_the_networks_begin_to_where_marks_end() -> None:
    written, axis = layer(), view()[0, 2]
    near, far = written["clear"]["min_z"] * axis, written["clear"]["max_z"] * axis
    assert NETWORKS_BEGIN <= near < NETWORKS_BEGIN + 0.05
    assert written["mark"]["obstacle_range"] < far < written["mark"]["obstacle_range"] + 0.5


def test_nothing_is_cleared_that_the_camera_does_not_see() -> None:
    found = abs(view())
    assert (found[:, 0] / found[:, 2]).max() <= WIDTH / 2 / FOCAL
    assert (found[:, 1] / found[:, 2]).max() <= HEIGHT / 2 / FOCAL


def test_the_comment_gives_the_angles_of_any_camera() -> None:
    clear = layer()["clear"]
    vertical = 2 * atan(HEIGHT / 2 / FOCAL)
    horizontal = 2 * atan(cos(vertical / 2) * WIDTH / 2 / FOCAL)
    assert clear["vertical_fov_angle"] == pytest.approx(vertical, abs=0.011)
    assert clear["horizontal_fov_angle"] == pytest.approx(horizontal, abs=0.011)


def test_a_source_that_only_clears_keeps_nothing_and_is_never_late() -> None:
    for source in (layer()["mark"], layer()["clear"]):
        assert source["clear_after_reading"] is True
        if source["clearing"] and not source["marking"]:
            assert source.get("observation_persistence", 0.0) == 0.0
            assert source.get("expected_update_rate", 0.0) == 0.0


def test_a_mark_in_view_is_gone_in_a_second_and_one_out_of_view_in_five() -> None:
    written, step = layer(), 1 / costmap("nav2_stvl")["update_frequency"]
    assert written["decay_model"] == 0 and written["voxel_decay"] == 5.0
    age, updates = 0.0, 0
    while age <= written["voxel_decay"]:
        age, updates = age + step, updates + 1
        age += written["clear"]["decay_acceleration"] / 6 * age**3
    assert updates * step == pytest.approx(1.0)
