"""A folded map and a head's tables as 16-bit integers, for loops that multiply sixteen at a time.

A rectified sum keeps its sign when all its terms are stretched by one positive number, so that
every channel may have a unit of its own, taken back by the last layer's weights. The unit is chosen
such that no sum of a map's pixel and the positional half can leave 16 bits: nothing saturates.
Tables of u and z are told once per head, in the finest unit they fit in; `ratio` brings them to the
map's.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from numba import prange

from kdbts_ros.density.engines.answers import Floats
from kdbts_ros.density.engines.cpu.fast_math import FAST
from kdbts_ros.density.engines.cpu.simd import LANES
from kdbts_ros.density.engines.folding import HeadArrays
from kdbts_ros.loops import njit

Int16s = npt.NDArray[np.int16]

# Largest sum of rounded terms; what is left of 32767 is for their rounding.
ROOM = 32700
# Largest count of one weight of the last layer, and largest sum of the magnitudes of all: rectified
# counts are at most 32767, and 32767 * (WHOLE + hidden / 2), half a count of rounding each, stays
# below 2^31 up to MOST_HIDDEN channels. One weight alone would fill the sum, but no 16 bits.
MOST, WHOLE = 32767, 60000
MOST_HIDDEN = 2 * ((2**31 - 1) // 32767 - WHOLE)
# A fraction of one, as a factor of `simd.scale`.
UNIT = np.float32(32767)
# Every fourth row of the float tables: off by 2.7e-4 of the fastest wave's amplitude, which is a
# small part of what a head says, and a quarter of the size: v's table fits the second cache.
_STRIDE = 4
# Bits of a fraction between two pixels and between two rows of a table: all that float32 holds
# beside the longest axis of an image, MOST_PIXELS, and of a table.
PIXEL_BITS, ROW_BITS = 13, 11
MOST_PIXELS = 1 << (24 - PIXEL_BITS)
_TINY = np.float32(1e-20)


class Int16Tables(NamedTuple):
    """A head's positional half: u, v, z (n*hidden) as in `HeadArrays`, `steps` rows per unit.

    u and z are int16; v is float32, because every map gets it in units of its own: it is asked at
    every level of a column. unit (hidden,): value per count; bound (hidden,): largest sum of the
    tables' magnitudes.
    """

    u: Int16s
    v: Floats
    z: Int16s
    steps: np.float32
    unit: Floats
    bound: Floats


class Int16Map(NamedTuple):
    """A view's folded map (H*W*hidden) int16 with all that a query of it needs.

    unit (hidden,): value per count. u, z, steps: those of `Int16Tables`; v in counts of the map.
    ratio (hidden,): what a count of u and z is worth here, as a factor of `simd.scale`. out
    (K*hidden): the last layer's weights, row by row. back (K,): value per count of each answer. All
    empty: there is none.
    """

    features: Int16s
    unit: Floats
    u: Int16s
    v: Int16s
    z: Int16s
    steps: np.float32
    ratio: Int16s
    out: Int16s
    back: Floats


_NONE, _NO_FLOATS = np.zeros(0, np.int16), np.zeros(0, np.float32)
ABSENT = Int16Map(_NONE, _NO_FLOATS, _NONE, _NONE, _NONE, np.float32(0), _NONE, _NONE, _NO_FLOATS)


def to_int16_tables(head: HeadArrays) -> Int16Tables:
    """The tables of a head as integers."""
    tables = [table.reshape(-1, head.hidden)[::_STRIDE] for table in (head.u, head.v, head.z)]
    bound = np.asarray(sum(np.abs(table).max(0) for table in tables), np.float32)
    # Of a table that is not finite nothing is asked, see `to_int16_map`.
    finite = np.isfinite(bound)
    unit = _unit(np.where(finite, bound, 0))
    u, v, z = (np.where(finite, table, np.float32(0)) for table in tables)
    u, z = (np.round(table / unit).astype(np.int16).flatten() for table in (u, z))
    return Int16Tables(u, v.flatten(), z, np.float32(head.steps / _STRIDE), unit, bound)


def to_int16_map(folded: Floats, head: HeadArrays, tables: Int16Tables, threads: int) -> Int16Map:
    """A folded map (H*W*hidden) as integers.

    ABSENT if a number of it or of the head is not finite, if channels do not fill whole vectors, or
    if they are more than 32-bit sums have room for.
    """
    if head.hidden % LANES or head.hidden > MOST_HIDDEN:
        return ABSENT
    largest = magnitudes(folded, head.hidden, threads).max(0)
    if not np.isfinite(largest + tables.bound + head.out.reshape(-1, head.hidden)).all():
        return ABSENT
    unit = _unit(largest + tables.bound)
    if not _fits(head, unit):
        return ABSENT
    counts, v = to_counts(folded, 1 / unit, threads), to_counts(tables.v, 1 / unit, threads)
    ratio = np.round(tables.unit / unit * UNIT).astype(np.int16)
    return Int16Map(
        counts, unit, tables.u, v, tables.z, tables.steps, ratio, *_last_layer(head, unit)
    )


def read_by(int16: Int16Map, head: HeadArrays) -> Int16Map:
    """The same map for another head that shares its hidden layer; ABSENT as for `to_int16_map`."""
    if not int16.features.size or not _fits(head, int16.unit):
        return ABSENT
    out, back = _last_layer(head, int16.unit)
    return int16._replace(out=out, back=back)


def _last_layer(head: HeadArrays, unit: Floats) -> tuple[Int16s, Floats]:
    """`out` and `back` of a `Int16Map`."""
    weights = head.out.reshape(-1, head.hidden) * unit
    sizes = np.abs(weights)
    by_sum = np.maximum(sizes.sum(1), _TINY) / np.float32(WHOLE)
    back = np.maximum(by_sum, sizes.max(1) / np.float32(MOST))
    out = np.round(weights / back[:, None]).astype(np.int16)
    return out.flatten(), back.astype(np.float32)


def _fits(head: HeadArrays, unit: Floats) -> bool:
    """Whether every answer of a map in these units is a number that float32 holds."""
    with np.errstate(over="ignore", invalid="ignore"):
        sums = np.abs(head.out.reshape(-1, head.hidden) * unit).sum(1)
    return bool(np.isfinite(sums).all())


def _unit(bound: Floats) -> Floats:
    """Value per count where magnitudes are at most `bound`."""
    return np.asarray(np.maximum(bound, _TINY) / np.float32(ROOM), np.float32)


@njit(inline="always")
def to_count(value, per_value):  # type: ignore[no-untyped-def]
    """value times per_value, rounded to the nearest int32; of what fits 16 bits."""
    # Conversion cuts off; positive before, so that half more rounds to the nearest.
    return np.int32(value * per_value + np.float32(32768.5)) - np.int32(32768)


# Not fast: reordered, a number minus itself would be zero whatever it is.
@njit(parallel=True, nogil=True, cache=True)
def magnitudes(folded, hidden, threads):  # type: ignore[no-untyped-def]
    """Largest magnitude (threads,hidden) by channel; NaN where a number is not finite."""
    out = np.zeros((threads, hidden), np.float32)
    pixels, width = folded.shape[0] // hidden, np.uint64(hidden)
    for thread in prange(threads):
        largest, odd = np.zeros(hidden, np.float32), np.zeros(hidden, np.float32)
        for i in range(thread * pixels // threads, (thread + 1) * pixels // threads):
            first = np.uint64(i) * width
            for c in range(width):
                value = folded[first + c]
                largest[c] = max(largest[c], abs(value))
                # Zero, unless the value is infinite or not a number.
                odd[c] += value - value
        out[thread] = largest + odd
    return out


@njit(parallel=True, nogil=True, cache=True, fastmath=FAST)
def to_counts(folded, per_value, threads):  # type: ignore[no-untyped-def]
    """Values (n*hidden) times per_value (hidden,), rounded to int16."""
    out = np.empty(folded.shape[0], np.int16)
    hidden = per_value.shape[0]
    pixels, width = folded.shape[0] // hidden, np.uint64(hidden)
    for thread in prange(threads):
        for i in range(thread * pixels // threads, (thread + 1) * pixels // threads):
            first = np.uint64(i) * width
            for c in range(width):
                out[first + c] = to_count(folded[first + c], per_value[c])
    return out
