"""Vectors inside compiled loops that bring the answers of a last layer into blocks of votes.

See `vectors`.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types

from kdbts_ros.density.engines.cpu.simd import element, float32x8, int32x8, intrinsic, phadd

_EIGHT = 8
_FLOATS = ir.VectorType(ir.FloatType(), _EIGHT)


def _shuffle(builder: Any, a: Any, b: Any, order: list[int]) -> Any:
    return builder.shuffle_vector(
        a, b, ir.Constant(ir.VectorType(ir.IntType(32), len(order)), order)
    )


@intrinsic
def pick(typing, mask, a, b):  # type: ignore[no-untyped-def]
    """a by lane where the mask is not zero, b elsewhere."""

    def emit(context, builder, signature, args):  # type: ignore[no-untyped-def]
        zero = ir.Constant(_FLOATS, [0.0] * _EIGHT)
        return builder.select(builder.fcmp_unordered("!=", args[0], zero), args[1], args[2])

    return float32x8(float32x8, float32x8, float32x8), emit


@intrinsic
def to_floats(typing, a):  # type: ignore[no-untyped-def]
    """Eight int32 as float32."""

    def emit(context, builder, signature, args):  # type: ignore[no-untyped-def]
        return builder.sitofp(args[0], _FLOATS)

    return float32x8(int32x8), emit


@intrinsic
def totals(typing, a, b, c, d, e, f, g, h):  # type: ignore[no-untyped-def]
    """The sums of eight times eight int32, one a lane."""

    def emit(context, builder, signature, args):  # type: ignore[no-untyped-def]
        pairs = [phadd(builder, args[k : k + 2]) for k in range(0, _EIGHT, 2)]
        # Lanes 0 to 3 then hold half of each of four sums, lanes 4 to 7 the other half.
        first, second = phadd(builder, pairs[:2]), phadd(builder, pairs[2:])
        low = _shuffle(builder, first, second, [0, 1, 2, 3, 8, 9, 10, 11])
        high = _shuffle(builder, first, second, [4, 5, 6, 7, 12, 13, 14, 15])
        return builder.add(low, high)

    return int32x8(*[int32x8] * _EIGHT), emit


@intrinsic
def turn(typing, source, at, target, to, stride):  # type: ignore[no-untyped-def]
    """Write eight rows of eight float32 as columns: number k of all from `to` + k `stride` on."""

    def emit(context, builder, signature, args):  # type: ignore[no-untyped-def]
        rows = []
        for k in range(_EIGHT):
            index = builder.add(args[1], args[1].type(_EIGHT * k))
            place = element(context, builder, signature.args[0], args[0], index, _FLOATS)
            rows.append(builder.load(place))
            rows[-1].align = 4
        # Pairs of numbers, then fours, then halves of the vectors change places.
        for near, low, high in (
            (1, [0, 8, 2, 10, 4, 12, 6, 14], [1, 9, 3, 11, 5, 13, 7, 15]),
            (2, [0, 1, 8, 9, 4, 5, 12, 13], [2, 3, 10, 11, 6, 7, 14, 15]),
            (4, [0, 1, 2, 3, 8, 9, 10, 11], [4, 5, 6, 7, 12, 13, 14, 15]),
        ):
            turned = list(rows)
            for k in range(_EIGHT):
                if not k & near:
                    turned[k] = _shuffle(builder, rows[k], rows[k + near], low)
                    turned[k + near] = _shuffle(builder, rows[k], rows[k + near], high)
            rows = turned
        index = args[3]
        for row in rows:
            place = element(context, builder, signature.args[2], args[2], index, _FLOATS)
            builder.store(row, place).align = 4
            index = builder.add(index, args[4])
        return context.get_dummy_value()

    return types.none(source, types.uint64, target, types.uint64, types.uint64), emit
