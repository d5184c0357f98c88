"""Messages beside the map, field by field, as their readers take them."""

from __future__ import annotations

import struct
from typing import Any

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="needs ROS 2: run `make venv`")
pytest.importorskip("kdbts_ros.msg", reason="needs the built messages: run `make venv`")

from sensor_msgs.msg import PointCloud2, PointField
from visualization_msgs.msg import Marker

from kdbts_ros.density import cell_volume
from kdbts_ros.density.cell_volume import CellVolume
from kdbts_ros.density.clouds import CELL_POINT, SURFACE_POINT
from kdbts_ros.density.geometry.camera import transform
from kdbts_ros.density.geometry.lattice import Lattice
from kdbts_ros.density.views.frusta import frusta
from kdbts_ros.msg import OccupancyVolume
from kdbts_ros.node.outputs import messages, scene_messages
from kdbts_ros.node.poses.quaternions import matrix
from test.density.networks import camera, forward_pose

STAMP = 1_700_000_000_123_456_789
HEAD = messages.header(STAMP, "base_link")
SIZES = {PointField.FLOAT32: ("f", 4), PointField.UINT8: ("B", 1)}


def read(cloud: PointCloud2) -> list[dict[str, Any]]:
    """The points, by nothing but the description that the message gives of itself."""
    order = ">" if cloud.is_bigendian else "<"
    data = bytes(cloud.data)
    return [
        {
            f.name: struct.unpack_from(
                order + SIZES[f.datatype][0], data, cloud.point_step * i + f.offset
            )[0]
            for f in cloud.fields
        }
        for i in range(cloud.width * cloud.height)
    ]


def cells(count: int) -> np.ndarray:
    points = np.zeros(count, CELL_POINT)
    points["x"], points["y"], points["z"] = np.arange(count) + 0.5, -2.0, 1.25
    points["probability"], points["observed"] = 0.75, np.arange(count) % 2
    return points


@pytest.mark.parametrize("count", [0, 1, 5])
def test_a_cloud_of_cells_says_how_it_is_read(count: int) -> None:
    cloud = scene_messages.point_cloud(HEAD, cells(count))
    assert cloud.header == HEAD and messages.to_ns(cloud.header.stamp) == STAMP
    assert [(f.name, f.offset, f.datatype, f.count) for f in cloud.fields] == [
        ("x", 0, PointField.FLOAT32, 1),
        ("y", 4, PointField.FLOAT32, 1),
        ("z", 8, PointField.FLOAT32, 1),
        ("probability", 12, PointField.FLOAT32, 1),
        ("observed", 16, PointField.UINT8, 1),
    ]
    assert (cloud.height, cloud.width, cloud.is_dense) == (1, count, True)
    assert (cloud.point_step, cloud.row_step) == (20, 20 * count)
    assert len(cloud.data) == cloud.row_step * cloud.height
    expected = {"y": -2.0, "z": 1.25, "probability": 0.75}
    assert read(cloud) == [{"x": i + 0.5, **expected, "observed": i % 2} for i in range(count)]


def test_the_colours_of_a_surface_are_packed_as_pcl_reads_them() -> None:
    points = np.zeros(2, SURFACE_POINT)
    points["rgb"] = np.array([0xFF8001, 0x000000], np.uint32).view(np.float32)
    cloud = scene_messages.point_cloud(HEAD, points)
    assert [(f.name, f.offset, f.datatype) for f in cloud.fields] == [
        (name, 4 * k, PointField.FLOAT32) for k, name in enumerate(("x", "y", "z", "rgb"))
    ]
    packed = [struct.unpack("<I", struct.pack("<f", p["rgb"]))[0] for p in read(cloud)]
    assert packed == [0xFF8001, 0]


def volume(T_fixed_lattice: np.ndarray) -> CellVolume:
    lattice = Lattice((0.0, 0.0, 0.0), (2, 3, 4), 0.5, 0.25)
    probability = np.linspace(0, 1, 24, dtype=np.float32).reshape(lattice.shape)
    state = np.full(lattice.shape, cell_volume.OBSERVED, np.uint8)
    probability[1, 2, 3], state[1, 2, 3] = np.nan, cell_volume.UNKNOWN
    state[0, 1, 2] = cell_volume.COMPLETED
    return CellVolume(lattice, T_fixed_lattice, probability, state)


def test_a_cell_of_the_volume_is_found_as_the_message_describes() -> None:
    T_fixed_lattice = matrix((10.0, -4.0, 0.5), (0.0, 0.0998334, 0.0, 0.9950042))
    head = messages.header(STAMP, "odom")
    message = scene_messages.occupancy_volume(head, volume(T_fixed_lattice))
    assert message.header == head
    sizes = (message.size_x, message.size_y, message.size_z)
    assert sizes == (4, 3, 2)
    assert len(message.probability) == len(message.state) == 24
    entry = (0 * message.size_y + 1) * message.size_x + 2
    assert message.state[entry] == OccupancyVolume.COMPLETED
    assert message.probability[entry] == pytest.approx(6 / 23)
    assert np.isnan(message.probability[23]) and message.state[23] == OccupancyVolume.UNKNOWN
    p, q = message.origin.position, message.origin.orientation
    T = matrix((p.x, p.y, p.z), (q.x, q.y, q.z, q.w))
    np.testing.assert_allclose(T, T_fixed_lattice, atol=1e-6)
    centre = [2.5 * message.resolution, 1.5 * message.resolution, 0.5 * message.height_step]
    np.testing.assert_allclose(
        transform(T, centre), transform(T_fixed_lattice, [1.25, 0.75, 0.125]), atol=1e-6
    )


def test_states_are_those_of_the_message() -> None:
    for name in ("UNKNOWN", "OBSERVED", "COMPLETED"):
        assert getattr(OccupancyVolume, name) == getattr(cell_volume, name)


def test_markers_replace_those_of_the_map_before() -> None:
    drawn = frusta([(camera(), forward_pose()), (camera(), forward_pose(x=-2.0))], 2.0)
    head = messages.header(STAMP, "odom")
    first, *views = scene_messages.view_markers(head, drawn).markers
    assert first.action == Marker.DELETEALL
    assert [(m.ns, m.id, m.action, m.type) for m in views] == [
        ("views", k, Marker.ADD, Marker.LINE_LIST) for k in range(2)
    ]
    for marker, frustum in zip(views, drawn, strict=True):
        assert marker.header == head and marker.header.frame_id == "odom"
        q, colour = marker.pose.orientation, marker.color
        assert (q.x, q.y, q.z, q.w) == (0, 0, 0, 1), "RViz refuses a quaternion of zeros"
        assert marker.scale.x > 0 and colour.a > 0
        assert (marker.lifetime.sec, marker.frame_locked) == (0, False)
        points = [(p.x, p.y, p.z) for p in marker.points]
        np.testing.assert_array_equal(points, frustum.edges)
    assert views[0].color != views[1].color, "the newest view stands out"
    only = scene_messages.view_markers(head, ()).markers
    assert [m.action for m in only] == [Marker.DELETEALL]


def test_a_quaternion_gives_its_rotation_back() -> None:
    from kdbts_ros.node.poses.quaternions import to_quaternion

    for given in ((0.5, -0.5, 0.5, 0.5), (0.0, 0.0, 0.0, 1.0), (0.6, 0.0, 0.8, 0.0)):
        T = matrix((1.0, 2.0, 3.0), given)
        np.testing.assert_allclose(matrix((1.0, 2.0, 3.0), to_quaternion(T)), T, atol=1e-12)
