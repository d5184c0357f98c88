"""exp and softplus for compiled loops, in float32 and without calls, so that they vectorise.

The C library's versions are scalar calls that cost more than a whole query of the folded head. Both
are polynomials fitted at Chebyshev nodes; a test holds them to a relative error of 5e-6.
"""

from __future__ import annotations

import numpy as np

from kdbts_ros.loops import njit

# No flag that assumes NaN away: a density that is not a number must stay one.
FAST = {"reassoc", "contract", "arcp", "nsz"}

_LOG2_E = np.float32(1.4426950408889634)
# 2^f for f in [-0.5, 0.5].
_P0, _P1, _P2, _P3, _P4, _P5, _P6 = (
    np.float32(c)
    for c in (
        1.0,
        0.693147207,
        0.240226509,
        0.0555032723,
        9.61805668e-3,
        1.34004282e-3,
        1.54614447e-4,
    )
)
# log(1 + e) / e for e in [0, 1].
_L0, _L1, _L2, _L3, _L4, _L5, _L6, _L7, _L8, _L9 = (
    np.float32(c)
    for c in (
        0.99999999,
        -0.49999893,
        0.3332971,
        -0.24951616,
        0.19663274,
        -0.15269667,
        0.10543624,
        -0.05637361,
        0.01954253,
        -0.00317606,
    )
)


@njit(inline="always")
def exp_of_negative(x):  # type: ignore[no-untyped-def]
    """exp(x) for x <= 0; below -87 the value at -87."""
    y = max(x, np.float32(-87)) * _LOG2_E
    rounded = np.floor(y + np.float32(0.5))
    f = y - rounded
    power = (((((_P6 * f + _P5) * f + _P4) * f + _P3) * f + _P2) * f + _P1) * f + _P0
    # The exponent bits of a float32 are its power of two, offset by 127.
    bits = np.int32((np.int32(rounded) + np.int32(127)) << np.int32(23))
    return power * bits.view(np.float32)


@njit(inline="always")
def softplus(x):  # type: ignore[no-untyped-def]
    """log(1 + exp(x)); NaN stays NaN."""
    e = exp_of_negative(-abs(x))
    p = (((((((_L9 * e + _L8) * e + _L7) * e + _L6) * e + _L5) * e + _L4) * e + _L3) * e + _L2) * e
    return relu(x) + ((p + _L1) * e + _L0) * e


@njit(inline="always")
def relu(x):  # type: ignore[no-untyped-def]
    """max(x, 0); written so that NaN stays NaN."""
    return np.float32(0) if x < 0 else x
