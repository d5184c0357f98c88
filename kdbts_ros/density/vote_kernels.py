"""Compiled CPU loops of a multi-view head: what each view says of a point, and what follows.

Two steps, because views do not lie in one array: each view's votes from its own folded map, then
the fusion of all views' votes into densities.
"""

from __future__ import annotations

import numpy as np
from numba import njit, prange

from kdbts_ros.density.heads import MASKED_LOGIT
from kdbts_ros.density.kernels import begin_hidden, is_seen
from kdbts_ros.density.numeric import FAST, exp_of_negative, relu, softplus

_MASKED = np.float32(MASKED_LOGIT)


@njit(fastmath=FAST, cache=True)
def last_layer(hidden, weights, bias, answer):  # type: ignore[no-untyped-def]
    """Fill answer (K,) with weights (K,C) times hidden (C,) plus bias, four rows at a time."""
    rows, channels = weights.shape
    k = 0
    while k + 4 <= rows:
        a, b, c, d = np.float32(0), np.float32(0), np.float32(0), np.float32(0)
        for i in range(channels):
            h = hidden[i]
            a += h * weights[k, i]
            b += h * weights[k + 1, i]
            c += h * weights[k + 2, i]
            d += h * weights[k + 3, i]
        answer[k], answer[k + 1] = a + bias[k], b + bias[k + 1]
        answer[k + 2], answer[k + 3] = c + bias[k + 2], d + bias[k + 3]
        k += 4
    while k < rows:
        a = np.float32(0)
        for i in range(channels):
            a += hidden[i] * weights[k, i]
        answer[k] = a + bias[k]
        k += 1


@njit(parallel=True, cache=True, fastmath=FAST)
def view_votes(folded, head, valid, q, votes, threads):  # type: ignore[no-untyped-def]
    """Fill votes (N,1+F) with one view's confidence logit and vote on points q (N,3).

    Where the view does not see a point its logit leaves it no weight and its vote is 0.
    """
    for part in prange(threads):
        work = np.empty((2, head.hidden), np.float32)
        hidden = work[0]
        for i in range(part * q.shape[0] // threads, (part + 1) * q.shape[0] // threads):
            if not is_seen(q[i, 0], q[i, 1], q[i, 2], valid):
                votes[i, :] = 0
                votes[i, 0] = _MASKED
                continue
            j, g = begin_hidden(folded, head, q[i], work)
            for c in range(head.hidden):
                low = head.v[j, c]
                work[0, c] = relu(work[0, c] + work[1, c] + (low + g * (head.v[j + 1, c] - low)))
            last_layer(hidden, head.out, head.out_bias, votes[i])


@njit(parallel=True, cache=True, fastmath=FAST)
def fused_densities(votes, fusion, threads):  # type: ignore[no-untyped-def]
    """Densities (N,) 1/m from the votes (V,N,1+F) of all views; NaN where no view sees.

    fusion = (weights (H,F), bias (H,), weights (H,), bias) of the perceptron over the fused vote.
    """
    views, points, width = votes.shape
    w_in, b_in, w_out, b_out = fusion
    out = np.empty(points, np.float32)
    for part in prange(threads):
        fused = np.empty(width - 1, np.float32)
        for i in range(part * points // threads, (part + 1) * points // threads):
            best = _MASKED
            for k in range(views):
                best = max(best, votes[k, i, 0])
            if best <= _MASKED:
                out[i] = np.nan
                continue
            fused[:] = 0
            total = np.float32(0)
            for k in range(views):
                weight = exp_of_negative(votes[k, i, 0] - best)
                total += weight
                for f in range(width - 1):
                    fused[f] += weight * votes[k, i, 1 + f]
            pre = b_out
            for h in range(w_in.shape[0]):
                inner = np.float32(0)
                for f in range(width - 1):
                    inner += fused[f] * w_in[h, f]
                pre += relu(inner / total + b_in[h]) * w_out[h]
            out[i] = softplus(pre)
    return out
