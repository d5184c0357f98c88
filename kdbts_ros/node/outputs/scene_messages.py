"""Messages of what a frame tells beside its map: clouds, the volume, markers."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np
from geometry_msgs.msg import Point, Pose
from sensor_msgs.msg import PointCloud2, PointField
from std_msgs.msg import ColorRGBA, Header
from visualization_msgs.msg import Marker, MarkerArray

from kdbts_ros.density.clouds import Points
from kdbts_ros.density.views.frusta import Frustum
from kdbts_ros.msg import OccupancyVolume
from kdbts_ros.node.outputs.messages import filled
from kdbts_ros.node.poses.quaternions import to_quaternion

if TYPE_CHECKING:
    from kdbts_ros.density.cell_volume import CellVolume

_DATATYPES = {"f4": PointField.FLOAT32, "u1": PointField.UINT8}
# The newest view, and earlier ones or those of other cameras.
_NEWEST_COLOUR, _OTHER_COLOUR = (1.0, 0.55, 0.1, 1.0), (0.3, 0.65, 1.0, 0.8)
_LINE_WIDTH = 0.03


def point_cloud(head: Header, points: Points) -> PointCloud2:
    """An unordered cloud without NaN, a field for each of (N,) structured points; N may be 0."""
    count, kind = len(points), points.dtype
    cloud = PointCloud2(header=head, height=1, width=count, is_dense=True)
    cloud.fields = [
        PointField(name=name, offset=offset, datatype=_DATATYPES[form.str[1:]], count=1)
        for name, (form, offset) in _fields_of(kind)
    ]
    cloud.is_bigendian = sys.byteorder == "big"
    cloud.point_step, cloud.row_step = kind.itemsize, kind.itemsize * count
    cloud.data = filled("B", points)
    return cloud


def occupancy_volume(head: Header, volume: CellVolume) -> OccupancyVolume:
    """Cells over the ground; head: of the fixed frame."""
    lattice, T = volume.lattice, volume.T_fixed_lattice
    origin = Pose()
    origin.position.x, origin.position.y, origin.position.z = T[:3, 3].tolist()
    q = origin.orientation
    q.x, q.y, q.z, q.w = to_quaternion(T)
    levels, rows, columns = lattice.shape
    message = OccupancyVolume(
        header=head,
        origin=origin,
        resolution=lattice.resolution,
        height_step=lattice.height_step,
        size_x=columns,
        size_y=rows,
        size_z=levels,
    )
    message.probability = filled("f", volume.probability)
    message.state = filled("B", volume.state)
    return message


def view_markers(head: Header, frusta: Iterable[Frustum]) -> MarkerArray:
    """The cameras behind a map as lines; the first marker takes away those of the map before."""
    markers = [Marker(header=head, ns="views", action=Marker.DELETEALL)]
    for index, frustum in enumerate(frusta):
        marker = Marker(header=head, ns="views", id=index, action=Marker.ADD)
        marker.type = Marker.LINE_LIST
        # A quaternion of zeros is refused by RViz.
        marker.pose.orientation.w = 1.0
        marker.scale.x = _LINE_WIDTH
        r, g, b, a = _NEWEST_COLOUR if frustum.newest else _OTHER_COLOUR
        marker.color = ColorRGBA(r=r, g=g, b=b, a=a)
        marker.points = [Point(x=x, y=y, z=z) for x, y, z in frustum.edges.tolist()]
        markers.append(marker)
    return MarkerArray(markers=markers)


def _fields_of(kind: np.dtype[Any]) -> list[tuple[str, tuple[np.dtype[Any], int]]]:
    assert kind.fields is not None
    return [(name, (entry[0], entry[1])) for name, entry in kind.fields.items()]
