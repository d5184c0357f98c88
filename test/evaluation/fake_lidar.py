"""A scanner in a scene of boxes on flat ground: returns by slabs, truth by inequality."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from kdbts_ros.evaluation.lidar import Scan

# Ahead alone, two rings and two directions a degree; none in a plane of the axes, where$
# a beam would run along the very face of a block.
ELEVATIONS = np.radians(np.linspace(2.0, -24.8, 54))
AZIMUTHS = np.radians(np.arange(-90, 90, 0.5) + 0.123)
HEIGHT = 1.73
RANGE = 120.0


@dataclass(frozen=True)
class Block:
    """An axis-aligned box that stands on z = 0: its corner (x, y) and its sizes, m."""

    x: float
    y: float
    length: float
    width: float
    height: float

    @property
    def low(self) -> np.ndarray:
        return np.array([self.x, self.y, 0.0])

    @property
    def high(self) -> np.ndarray:
        return self.low + np.array([self.length, self.width, self.height])


def scan_of(blocks: list[Block], x: float = 0.0, y: float = 0.0) -> Scan:
    """What a scanner at (x, y) with the world's axes gets back."""
    origin = np.array([x, y, HEIGHT])
    a, e = (g.ravel() for g in np.meshgrid(AZIMUTHS, ELEVATIONS))
    rays = np.stack([np.cos(e) * np.cos(a), np.cos(e) * np.sin(a), np.sin(e)], -1)
    with np.errstate(divide="ignore"):
        reach = np.where(rays[:, 2] < 0, -HEIGHT / rays[:, 2], np.inf)
        for block in blocks:
            to_low, to_high = (block.low - origin) / rays, (block.high - origin) / rays
            enters = np.minimum(to_low, to_high).max(1)
            leaves = np.maximum(to_low, to_high).min(1)
            reach = np.where((enters > 0) & (enters <= leaves), np.minimum(reach, enters), reach)
    T = np.eye(4)
    T[:3, 3] = origin
    back = reach <= RANGE
    return Scan(rays[back] * reach[back, None], T)


def moved(scan: Scan, T_new_world: np.ndarray) -> Scan:
    """The same scan in another world."""
    return Scan(scan.xyz, T_new_world @ scan.T_world_velo)


def overlap(blocks: list[Block], x: np.ndarray, y: np.ndarray, half: float) -> np.ndarray:
    """(H,W) whether a square of half a side around each (x, y) touches a block."""
    X, Y = np.meshgrid(x, y)
    touched = np.zeros(X.shape, bool)
    for block in blocks:
        touched |= (
            (block.low[0] - half <= X)
            & (block.high[0] + half >= X)
            & (block.low[1] - half <= Y)
            & (block.high[1] + half >= Y)
        )
    return touched


def turned(yaw: float, x: float, y: float) -> np.ndarray:
    """T (4,4) of a turn about z and a step."""
    T = np.eye(4)
    T[:2, :2] = [[np.cos(yaw), -np.sin(yaw)], [np.sin(yaw), np.cos(yaw)]]
    T[:2, 3] = x, y
    return T
