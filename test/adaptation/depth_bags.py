"""Recordings of the room by a robot with a depth camera."""

from __future__ import annotations

import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from kdbts_ros.datasets.bags import messages as cdr
from kdbts_ros.datasets.kitti.files import rigid
from kdbts_ros.density.geometry.camera import R_BODY_OPTICAL, Array, Camera
from test.adaptation.conftest import FRAMES, place
from test.datasets.bags import IMAGE, INFO, SECOND, Bag
from test.datasets.box_room import CAMERA, room_depth, room_view

COLOUR, DEPTH = "/eye/color/image_raw", "/eye/aligned_depth_to_color/image_raw"
COMPRESSED = "sensor_msgs/msg/CompressedImage"
T_BASE_CAM = rigid(R_BODY_OPTICAL, (0.2, 0.2, 1.2))
# A depth camera of its own: beside the colour camera, turned a little, and with other pixels.
OWN = Camera(120, 90, 70.0, 70.0, 60.0, 45.0)
T_BASE_OWN = rigid(R_BODY_OPTICAL, (0.2, 0.15, 1.15))

Encode = Callable[[np.ndarray, int], tuple[str, memoryview]]


def millimetres(depth: np.ndarray, stamp: int) -> tuple[str, memoryview]:
    values = np.rint(depth * 1000).clip(0, 65535).astype("<u2")
    return IMAGE, plain(values, "16UC1", stamp)


def metres(depth: np.ndarray, stamp: int) -> tuple[str, memoryview]:
    told = depth.astype("<f4")
    told[:2] = np.nan
    told[2:4] = np.inf
    return IMAGE, plain(told, "32FC1", stamp)


def compressed(depth: np.ndarray, stamp: int) -> tuple[str, memoryview]:
    values = np.rint(depth * 1000).clip(0, 65535).astype(np.uint16)
    return COMPRESSED, packed(values, "16UC1; compressedDepth png", stamp)


def compressed_metres(depth: np.ndarray, stamp: int) -> tuple[str, memoryview]:
    a, b = 10000.0, -100.0
    values = np.rint(a / depth + b).clip(0, 65535).astype(np.uint16)
    return COMPRESSED, packed(values, "32FC1; compressedDepth png", stamp, a, b)


def plain(values: np.ndarray, name: str, stamp: int, **changes: Any) -> memoryview:
    fields = {
        "header": cdr._header("deep", stamp),
        "height": values.shape[0],
        "width": values.shape[1],
        "encoding": name,
        "is_bigendian": 0,
        "step": values.shape[1] * values.itemsize,
        "data": np.ascontiguousarray(values).view(np.uint8).reshape(-1),
    }
    return cdr._cdr(IMAGE, **{**fields, **changes})


def packed(values: np.ndarray, name: str, stamp: int, a: float = 0.0, b: float = 0.0) -> memoryview:
    content = struct.pack("<iff", 0, a, b) + cv2.imencode(".png", values)[1].tobytes()
    header, data = cdr._header("deep", stamp), np.frombuffer(content, np.uint8)
    return cdr._cdr(COMPRESSED, header=header, format=name, data=data)


def record_depth(
    path: Path,
    encode: Encode = millimetres,
    topic: str = DEPTH,
    camera: Camera = CAMERA,
    T_base_depth: Array = T_BASE_CAM,
    frames: int = FRAMES,
    step: float = 0.3,
    depth_info: bool = True,
) -> Path:
    """Drive through the room with a colour and a depth camera; depth comes 5 ms later."""
    with Bag(path) as bag:
        bag.tf("base_link", "eye", T_BASE_CAM, SECOND, static=True)
        bag.tf("base_link", "deep", T_base_depth, SECOND, static=True)
        for i in range(-1, frames + 1):
            stamp = 2 * SECOND + i * SECOND // 5
            bag.tf("odom", "base_link", place(step * i), stamp)
            if not 0 <= i < frames:
                continue
            true = place(step * i)
            image = room_view(true @ T_BASE_CAM).image
            bag.image(stamp, image, COLOUR)
            bag.put("/eye/color/camera_info", INFO, stamp, cdr.camera_info(CAMERA, "eye", stamp))
            later = stamp + SECOND // 200
            kind, data = encode(room_depth(place(step * (i + 0.025)) @ T_base_depth, camera), later)
            bag.put(topic, kind, later, data)
            if depth_info:
                space = topic.removesuffix("/compressedDepth").rpartition("/")[0]
                told = cdr.camera_info(camera, "deep", later)
                bag.put(f"{space}/camera_info", INFO, later, told)
    return path
