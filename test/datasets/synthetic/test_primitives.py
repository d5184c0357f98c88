"""Solids: intersection, inside test and normals agree with each other."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kdbts_ros.datasets.synthetic.primitives import (
    BOX,
    CYLINDER,
    ELLIPSOID,
    PLAIN,
    TOP,
    WHEEL,
    PrimitiveTable,
    contains,
    intersect,
    normal,
)

KINDS = [BOX, CYLINDER, ELLIPSOID, WHEEL]


def solid(kind, half=(1.0, 0.6, 0.8), yaw=0.4, taper=(0.3, 0.1, 0.2)):
    table = PrimitiveTable()
    if kind == CYLINDER:
        half = (half[0], half[0], half[2])
    if kind == WHEEL:
        half = (half[0], half[1], half[0])
    table.add(kind, (5.0, 1.0, 2.0), half, yaw, PLAIN, (0.5, 0.5, 0.5), taper=taper)
    return table.array()[0]


def test_a_ray_along_x_meets_a_box_at_its_face():
    box = solid(BOX, yaw=0.0, taper=(0.0, 0.0, 0.0))
    t, face = intersect(box, 0.0, 1.0, 2.0, 1.0, 0.0, 0.0)
    assert t == pytest.approx(4.0)
    assert face == 1


def test_a_ray_from_above_meets_the_top():
    for kind in (BOX, CYLINDER):
        t, face = intersect(solid(kind), 5.0, 1.0, 10.0, 0.0, 0.0, -1.0)
        assert t == pytest.approx(10.0 - 2.8)
        assert face == TOP


def test_a_ray_that_points_away_misses():
    for kind in KINDS:
        assert intersect(solid(kind), 0.0, 1.0, 2.0, -1.0, 0.0, 0.0)[0] < 0


@settings(max_examples=150, deadline=None)
@given(
    kind=st.sampled_from(KINDS),
    yaw=st.floats(-3, 3),
    start=st.tuples(*[st.floats(-1, 1)] * 3),
    aim=st.tuples(*[st.floats(-0.6, 0.6)] * 3),
)
def test_just_behind_a_hit_is_inside_just_before_outside(kind, yaw, start, aim):
    p = solid(kind, yaw=yaw)
    centre = np.array([5.0, 1.0, 2.0])
    direction = np.array(start)
    if np.linalg.norm(direction) < 0.2:
        return
    origin = centre + 6.0 * direction / np.linalg.norm(direction)
    ray = centre + np.array(aim) - origin
    ray /= np.linalg.norm(ray)
    t, face = intersect(p, *origin, *ray)
    samples = origin + np.linspace(0, 12, 400)[:, None] * ray
    ever_inside = any(contains(p, *q) for q in samples)
    if t < 0:
        assert not ever_inside
        return
    n = np.array(normal(p, *(origin + t * ray), face))
    assert np.linalg.norm(n) == pytest.approx(1.0, abs=1e-6)
    assert n @ ray < 1e-6
    hit = origin + t * ray
    assert not contains(p, *(hit + 1e-5 * n))
    if -(n @ ray) > 0.2:
        assert not contains(p, *(origin + (t - 1e-4) * ray))


def test_a_tapered_box_is_narrower_at_its_top():
    roof = solid(BOX, half=(2.0, 1.0, 1.0), yaw=0.0, taper=(0.0, 0.0, 1.0))
    assert contains(roof, 5.0, 1.9, 1.05)
    assert not contains(roof, 5.0, 1.9, 2.9)
    assert math.isclose(intersect(roof, 5.0, 5.0, 2.0, 0.0, -1.0, 0.0)[0], 3.5)
