"""Compiled CPU loops of a multi-view head: what one view says of single points.

For blocks of votes see `fusion`.
"""

from __future__ import annotations

import numpy as np
from numba import prange

from kdbts_ros.density.engines.cpu.fast_math import FAST
from kdbts_ros.density.engines.cpu.fusion import MASKED
from kdbts_ros.density.engines.cpu.points import fill_base, is_seen, mapped_depth, tap, tap_table
from kdbts_ros.density.engines.cpu.upright_columns import LANES
from kdbts_ros.density.engines.cpu.votes import fill_hidden, last_layer
from kdbts_ros.loops import njit


@njit(fastmath=FAST, cache=True)
def votes_of_blocks(folded, size, head, valid, q, votes, seen_rows, first, last):  # type: ignore[no-untyped-def]
    """`point_votes` of blocks first to last - 1."""
    height, width = size
    u_table, v_table, z_table, z_low, steps = head.u, head.v, head.z, head.z_low, head.steps
    right, down, one = np.uint64(head.hidden), np.uint64(head.hidden * width), np.float32(1)
    last_row = np.int32(2 * steps) - np.int32(1)
    waves, octaves, weights, bias = head.z_waves, head.octaves, head.out, head.out_bias
    base, hidden = np.empty(head.hidden, np.float32), np.empty(head.hidden, np.float32)
    for b in range(first, last):
        votes[b], seen_rows[b] = 0, 0
        votes[b, 0, :] = MASKED
        for i in range(b * LANES, min((b + 1) * LANES, q.shape[0])):
            if not is_seen(q[i, 0], q[i, 1], q[i, 2], valid):
                continue
            seen_rows[b] = 1
            inverse_z = one / q[i, 2]
            u, v, mapped = q[i, 0] * inverse_z, q[i, 1] * inverse_z, mapped_depth(q[i, 2], head)
            fill_base(u_table, z_table, z_low, waves, octaves, steps, u, mapped, base)
            left, fx = tap(u, width)
            upper, fy = tap(v, height)
            j, g = tap_table((v + one) * steps, last_row)
            corner = np.uint64(upper) * down + np.uint64(left) * right
            fill_hidden(folded, corner, right, down, fx, fy, v_table, j, g, base, hidden)
            last_layer(hidden, weights, bias, votes[b], i - b * LANES)


@njit(parallel=True, nogil=True, cache=True, fastmath=FAST)
def point_votes(folded, size, head, valid, q, votes, seen_rows, threads):  # type: ignore[no-untyped-def]
    """Fill votes (B,2+F,LANES) float32 with what one view says of points q (N,3), eight to a block.

    seen_rows (B,): not 0 where the view sees any of them.
    """
    blocks = votes.shape[0]
    for thread in prange(threads):
        first, last = thread * blocks // threads, (thread + 1) * blocks // threads
        votes_of_blocks(folded, size, head, valid, q, votes, seen_rows, first, last)


@njit(nogil=True, cache=True, fastmath=FAST)
def votes_here(folded, size, head, valid, q, votes, seen_rows):  # type: ignore[no-untyped-def]
    """`point_votes` in the thread that asks, whatever others compute."""
    votes_of_blocks(folded, size, head, valid, q, votes, seen_rows, 0, votes.shape[0])
