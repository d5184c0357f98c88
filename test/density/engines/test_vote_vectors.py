"""The operations that bring the answers of a last layer into blocks of votes."""

from __future__ import annotations

import numpy as np
import pytest
from numba import njit

from kdbts_ros.density.engines.cpu import simd
from kdbts_ros.density.engines.cpu.simd import (
    load,
    load_floats,
    nothing,
    pick,
    store_floats,
    to_floats,
    totals,
    turn,
)

needs_avx2 = pytest.mark.skipif(not simd.available(), reason="this processor has no AVX2")
ZERO = np.uint64(0)


@njit
def picked(mask, a, b, out):
    chosen = pick(load_floats(mask, ZERO), load_floats(a, ZERO), load_floats(b, ZERO))
    store_floats(out, ZERO, chosen)


def test_lanes_come_from_one_side_whatever_the_other_holds() -> None:
    a, b, out = np.arange(8, dtype=np.float32), np.full(8, np.nan, np.float32), np.zeros(8)
    out = out.astype(np.float32)
    mask = np.array([1, 0, 0, 1, 1, 0, 1, 0], np.float32)
    picked(mask, a, b, out)
    np.testing.assert_array_equal(out, np.where(mask != 0, a, b))


@njit
def turned(source, target, stride):
    turn(source, np.uint64(8), target, np.uint64(3), np.uint64(stride))


def test_rows_become_columns() -> None:
    source, target = np.arange(80, dtype=np.float32), np.zeros(100, np.float32)
    turned(source, target, 11)
    found = np.stack([target[3 + 11 * k :][:8] for k in range(8)])
    np.testing.assert_array_equal(found, source[8:72].reshape(8, 8).T)
    assert np.count_nonzero(target) == 64


@njit
def summed(rows, out):
    one = simd.dot_pairs(load(rows, ZERO), load(rows, np.uint64(16)))
    two = simd.dot_pairs(load(rows, np.uint64(32)), load(rows, np.uint64(16)))
    zero = nothing()
    store_floats(out, ZERO, to_floats(totals(one, two, zero, one, two, two, zero, one)))


@needs_avx2
def test_sums_come_in_their_order() -> None:
    rows, out = np.random.default_rng(0).integers(-99, 99, (3, 16)).astype(np.int16), np.zeros(8)
    out = out.astype(np.float32)
    summed(rows.reshape(-1), out)
    one, two = rows[0].astype(int) @ rows[1], rows[2].astype(int) @ rows[1]
    assert out.tolist() == [one, two, 0, one, two, two, 0, one]
