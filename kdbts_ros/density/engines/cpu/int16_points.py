"""Compiled CPU loops over single points of an int16 map, in the thread that asks.

Points lie anywhere, so that each finds its pixels in no near cache: where a block of them falls is
found first, and what a point reads is called for while the points before it are summed. See
`int16_map` for `Int16Map`, `int16_loops` for codes and `points` for positions q and `folded`.
"""

from __future__ import annotations

import numpy as np

from kdbts_ros.density.engines.cpu.fast_math import FAST, softplus
from kdbts_ros.density.engines.cpu.fusion import MASKED
from kdbts_ros.density.engines.cpu.int16_loops import (
    CODES,
    U,
    V,
    X,
    Y,
    Z,
    call_for,
    fill_int16_base,
    fill_int16_hidden,
    int16_slanting,
    pixel_code,
    row_code,
)
from kdbts_ros.density.engines.cpu.point_votes import votes_of_blocks
from kdbts_ros.density.engines.cpu.points import densities_of, is_seen, mapped_depth
from kdbts_ros.density.engines.cpu.upright_columns import LANES
from kdbts_ros.density.engines.cpu.votes import int16_last_layers, turn_answers
from kdbts_ros.density.network.projection import MIN_DEPTH
from kdbts_ros.loops import njit

BLOCK = 16
# How many points ahead of its sum what a point reads is called for.
AHEAD = 3
_MIN_DEPTH = np.float32(MIN_DEPTH)
# What is asked of a point: nothing, as no pixel shows it; floats, as it is nearer than the tables
# begin; integers.
_UNSEEN, _NEAR, _KNOWN = range(3)


@njit(fastmath=FAST, cache=True)
def code_points(q, first, size, head, int16, valid, codes, ask):  # type: ignore[no-untyped-def]
    """Fill codes (CODES,B) and what is asked (B,) of points from q[first] on."""
    one, steps = np.float32(1), int16.steps
    rows = np.int32(2 * steps) + np.int32(1)
    z_rows = np.int32(int16.z.shape[0] // head.hidden)
    for k in range(ask.shape[0]):
        i = min(first + k, q.shape[0] - 1)
        z = max(q[i, 2], _MIN_DEPTH)
        inverse_z = one / z
        u, v = min(max(q[i, 0] * inverse_z, -one), one), min(max(q[i, 1] * inverse_z, -one), one)
        depth = (mapped_depth(z, head) - head.z_low) * steps
        codes[X, k], codes[Y, k] = pixel_code(u, size[1]), pixel_code(v, size[0])
        codes[U, k], codes[V, k] = (
            row_code((u + one) * steps, rows),
            row_code((v + one) * steps, rows),
        )
        codes[Z, k] = row_code(depth, z_rows)
        ask[k] = _NEAR if depth > np.float32(z_rows - 1) else _KNOWN
    for k in range(ask.shape[0]):
        i = first + k
        if i >= q.shape[0] or not is_seen(q[i, 0], q[i, 1], q[i, 2], valid):
            ask[k] = _UNSEEN


@njit(nogil=True, cache=True, fastmath=FAST)
def int16_densities_here(folded, size, head, int16, valid, q):  # type: ignore[no-untyped-def]
    """`points.densities_here` by integers."""
    out, codes = np.empty(q.shape[0], np.float32), np.zeros((CODES, BLOCK), np.int32)
    ask, raw = np.zeros(BLOCK, np.int32), np.zeros(BLOCK, np.float32)
    counts, u_table, v_table, z_table = int16.features, int16.u, int16.v, int16.z
    ratio, weights, down = int16.ratio, int16.out, np.uint64(head.hidden * size[1])
    back, bias = int16.back[0], head.out_bias[0]
    for first in range(0, q.shape[0], BLOCK):
        code_points(q, first, size, head, int16, valid, codes, ask)
        for k in range(AHEAD):
            call_for(counts, u_table, v_table, z_table, ratio, down, codes, k)
        for k in range(BLOCK):
            if k + AHEAD < BLOCK:
                call_for(counts, u_table, v_table, z_table, ratio, down, codes, k + AHEAD)
            raw[k] = 0
            if ask[k] == _KNOWN:
                raw[k] = bias + back * np.float32(
                    int16_slanting(
                        counts, u_table, v_table, z_table, ratio, weights, down, codes, k
                    )
                )
        for k in range(BLOCK):
            raw[k] = softplus(raw[k])
        for k in range(min(BLOCK, q.shape[0] - first)):
            if ask[k] == _NEAR:
                densities_of(folded, size, head, valid, q, first + k, first + k + 1, out)
            else:
                out[first + k] = raw[k] if ask[k] == _KNOWN else np.float32(np.nan)
    return out


@njit(nogil=True, cache=True, fastmath=FAST)
def int16_votes_here(folded, size, head, int16, valid, q, votes, seen_rows):  # type: ignore[no-untyped-def]
    """`point_votes.votes_here` by integers."""
    kinds = int16.back.shape[0]
    codes, ask = np.zeros((CODES, LANES), np.int32), np.zeros(LANES, np.int32)
    base, hidden = np.zeros(head.hidden, np.int16), np.zeros((1, head.hidden), np.int16)
    answers = np.zeros((kinds // LANES) * LANES * LANES, np.float32)
    order, shown = np.zeros(1, np.int32), np.zeros(LANES, np.int32)
    counts, v_table, down = int16.features, int16.v, np.uint64(head.hidden * size[1])
    for b in range(votes.shape[0]):
        code_points(q, b * LANES, size, head, int16, valid, codes, ask)
        near = 0
        for k in range(LANES):
            call_for(counts, int16.u, v_table, int16.z, int16.ratio, down, codes, k)
            shown[k] = ask[k] != _UNSEEN
            near += ask[k] == _NEAR
        if near > 0:
            # Rare: such a block is asked in floats as a whole.
            votes_of_blocks(folded, size, head, valid, q, votes, seen_rows, b, b + 1)
            continue
        votes[b], seen_rows[b] = 0, 0
        for k in range(LANES):
            if shown[k] == 0:
                continue
            seen_rows[b] = 1
            fill_int16_base(int16.u, int16.z, int16.ratio, codes[U, k], codes[Z, k], base)
            fill_int16_hidden(
                counts, v_table, base, down, codes[X, k], codes[Y, k : k + 1], codes[V, k : k + 1],
                order, 1, hidden,
            )  # fmt: skip
            int16_last_layers(
                hidden, order, 1, k, int16.out, int16.back, head.out_bias, answers, votes[b]
            )
        if seen_rows[b] != 0:
            turn_answers(answers, kinds, shown, votes[b])
        for k in range(LANES):
            if shown[k] == 0:
                votes[b, :, k] = 0
                votes[b, 0, k] = MASKED
