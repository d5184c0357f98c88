"""Arrays out of messages, and the sentences for messages that contradict themselves."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from kdbts_ros.errors import UserError
from kdbts_ros.viewer import fields
from test.viewer.made import SECOND, cloud, depth, grid


def test_depth_is_metres_and_zero_where_there_is_none() -> None:
    metres = np.array([[1.5, np.nan, np.inf], [0.0, -2.0, 30.0]])
    found = fields.depth_metres(depth(SECOND, metres))
    assert found.tolist() == [[1.5, 0, 0], [0, 0, 30.0]]


def test_millimetres_and_the_other_byte_order_are_read() -> None:
    message = depth(SECOND, np.zeros((1, 2)))
    raw = np.array([1500, 0], ">u2").view(np.uint8)
    message = dataclasses.replace(message, encoding="16UC1", is_bigendian=1, step=4, data=raw)
    assert fields.depth_metres(message).ravel() == pytest.approx([1.5, 0.0])


def test_rows_may_be_padded() -> None:
    padded = np.zeros((2, 5), np.float32)
    padded[:, :3] = [[1, 2, 3], [4, 5, 6]]
    message = dataclasses.replace(depth(SECOND, padded), width=3)
    assert fields.depth_metres(message).tolist() == [[1, 2, 3], [4, 5, 6]]


@pytest.mark.parametrize("wrong", [{"step": 3}, {"height": 7}, {"width": 0}, {"encoding": "rgb8"}])
def test_depth_that_contradicts_itself_is_refused(wrong: dict) -> None:
    message = dataclasses.replace(depth(SECOND, np.ones((2, 3))), **wrong)
    with pytest.raises(UserError, match="depth"):
        fields.depth_metres(message)


def test_cells_keep_their_places() -> None:
    cells = np.arange(6).reshape(2, 3)
    assert fields.grid_cells(grid(SECOND, cells)).tolist() == cells.tolist()


def test_a_map_of_other_cells_than_it_says_is_refused() -> None:
    message = grid(SECOND, np.zeros((2, 3)))
    message.info.width = 2
    with pytest.raises(UserError, match="2x2 cells holds 6"):
        fields.grid_cells(message)
    message.info.resolution = 0.0
    with pytest.raises(UserError, match="a map of"):
        fields.grid_cells(message)


def test_points_without_a_place_are_left_out() -> None:
    points = np.array([[1, 2, 3, 0.5], [np.nan, 0, 0, 1], [4, 5, 6, 0.25]])
    found = fields.cloud_fields(cloud(points))
    assert found["x"].tolist() == [1, 4] and found["intensity"].tolist() == [0.5, 0.25]


def test_large_clouds_are_thinned(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fields, "MOST_POINTS", 10)
    found = fields.cloud_fields(cloud(np.ones((95, 4))))
    assert len(found["x"]) == 10


def test_clouds_that_contradict_themselves_are_refused() -> None:
    message = cloud(np.ones((3, 4)))
    with pytest.raises(UserError, match="holds 48"):
        fields.cloud_fields(dataclasses.replace(message, width=4))
    with pytest.raises(UserError, match="outside of its points"):
        fields.cloud_fields(dataclasses.replace(message, point_step=12))
    with pytest.raises(UserError, match="x, y and z"):
        fields.cloud_fields(dataclasses.replace(message, fields=message.fields[1:]))
