"""Vectors inside compiled loops: what the processor multiplies eight or sixteen at a time.

The loop vectoriser widens 16-bit factors to 32 bits, which takes the gain away again. The few
operations on integers say which instruction is meant; they exist for x86 processors with AVX2.
Those on floats keep running sums in registers, and exist everywhere.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import llvmlite.binding
import numba.extending
from llvmlite import ir
from numba import types
from numba.core import cgutils as _cgutils
from numba.core import config
from numba.core.datamodel import models
from numba.extending import register_model

LANES = 16
_EIGHT = LANES // 2
# Numba is not typed, and compiled code calls an intrinsic without its first argument.
intrinsic: Any = numba.extending.intrinsic
cgutils: Any = _cgutils
primitive: Any = models.PrimitiveModel
_I16, _I32 = ir.IntType(16), ir.IntType(32)
_V16, _V32 = ir.VectorType(_I16, LANES), ir.VectorType(_I32, LANES // 2)
_VF = ir.VectorType(ir.FloatType(), LANES // 2)


class _Int16x16(types.Type):
    def __init__(self) -> None:
        super().__init__("int16x16")


class _Int32x8(types.Type):
    def __init__(self) -> None:
        super().__init__("int32x8")


class _Float32x8(types.Type):
    def __init__(self) -> None:
        super().__init__("float32x8")


int16x16, int32x8, float32x8 = _Int16x16(), _Int32x8(), _Float32x8()


@register_model(_Int16x16)
class _Int16x16Model(primitive):  # type: ignore[misc]
    def __init__(self, manager: Any, kind: Any) -> None:
        super().__init__(manager, kind, _V16)


@register_model(_Int32x8)
class _Int32x8Model(primitive):  # type: ignore[misc]
    def __init__(self, manager: Any, kind: Any) -> None:
        super().__init__(manager, kind, _V32)


@register_model(_Float32x8)
class _Float32x8Model(primitive):  # type: ignore[misc]
    def __init__(self, manager: Any, kind: Any) -> None:
        super().__init__(manager, kind, _VF)


def available() -> bool:
    """Whether this processor has the integers' instructions, and numba compiles for it alone."""
    features = llvmlite.binding.get_host_cpu_features()
    itself = getattr(config, "CPU_NAME", None) is None and not getattr(config, "CPU_FEATURES", None)
    return bool(itself and features.get("avx2", False))


def element(context: Any, builder: Any, kind: Any, array: Any, at: Any, wanted: Any) -> Any:
    """Pointer to `wanted` at an element of an array, which may lie at any even address."""
    data = context.make_array(kind)(context, builder, array).data
    return builder.bitcast(builder.gep(data, [at]), wanted.as_pointer())


def _loading(vector: Any, align: int) -> Any:
    """Reads a vector from an element of an array on."""

    def emit(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        found = builder.load(element(context, builder, signature.args[0], args[0], args[1], vector))
        found.align = align
        return found

    return emit


def _storing(vector: Any, align: int) -> Any:
    """Writes one there."""

    def emit(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        place = element(context, builder, signature.args[0], args[0], args[1], vector)
        builder.store(args[2], place).align = align
        return context.get_dummy_value()

    return emit


def _call(builder: Any, name: str, result: Any, args: Any) -> Any:
    kind = ir.FunctionType(result, [arg.type for arg in args])
    return builder.call(cgutils.get_or_insert_function(builder.module, kind, name), args)


def phadd(builder: Any, args: Any) -> Any:
    """Sums of neighbouring lanes of two vectors of eight int32, by halves of the vectors."""
    return _call(builder, "llvm.x86.avx2.phadd.d", _V32, args)


def _everywhere(builder: Any, value: Any, vector: Any) -> Any:
    one = builder.insert_element(ir.Constant(vector, ir.Undefined), value, _I32(0))
    order = ir.Constant(ir.VectorType(_I32, vector.count), [0] * vector.count)
    return builder.shuffle_vector(one, one, order)


def _of_vectors(result: Any, args: tuple[Any, ...], emit: Callable[[Any, Any], Any]) -> Any:
    return result(*args), lambda context, builder, signature, values: emit(builder, values)


def _instruction(name: str, result: Any, vector: Any) -> Any:
    """An instruction that makes a vector of two of int16."""
    return _of_vectors(
        result, (int16x16, int16x16), lambda builder, args: _call(builder, name, vector, args)
    )


@intrinsic
def touch(typing, array, at):  # type: ignore[no-untyped-def]
    """Have the cache line with an element of an int16 array fetched; beyond its end, nothing."""

    def emit(context, builder, signature, args):  # type: ignore[no-untyped-def]
        place = element(context, builder, signature.args[0], args[0], args[1], ir.IntType(8))
        kind = ir.FunctionType(ir.VoidType(), [place.type, _I32, _I32, _I32])
        call = cgutils.get_or_insert_function(builder.module, kind, "llvm.prefetch.p0")
        # To be read, into the nearest cache, of data.
        builder.call(call, [place, _I32(0), _I32(3), _I32(1)])
        return context.get_dummy_value()

    return types.none(array, at), emit


@intrinsic
def load(typing, array, at):  # type: ignore[no-untyped-def]
    """Sixteen numbers of an int16 array from element `at` on."""
    return int16x16(array, at), _loading(_V16, 2)


@intrinsic
def store(typing, array, at, values):  # type: ignore[no-untyped-def]
    """Write sixteen numbers into an int16 array from element `at` on."""
    return types.none(array, at, int16x16), _storing(_V16, 2)


@intrinsic
def splat(typing, value):  # type: ignore[no-untyped-def]
    """An int16 in every lane."""
    return _of_vectors(
        int16x16, (types.int16,), lambda builder, args: _everywhere(builder, args[0], _V16)
    )


@intrinsic
def add(typing, a, b):  # type: ignore[no-untyped-def]
    """a + b by lane; wraps around."""
    return _of_vectors(int16x16, (int16x16, int16x16), lambda builder, args: builder.add(*args))


@intrinsic
def scale(typing, a, b):  # type: ignore[no-untyped-def]
    """a b / 32768 by lane, rounded to the nearest."""
    return _instruction("llvm.x86.avx2.pmul.hr.sw", int16x16, _V16)


@intrinsic
def rectify(typing, a):  # type: ignore[no-untyped-def]
    """max(a, 0) by lane."""

    def emit(builder, args):  # type: ignore[no-untyped-def]
        zero = ir.Constant(_V16, [0] * LANES)
        return builder.select(builder.icmp_signed(">", args[0], zero), args[0], zero)

    return _of_vectors(int16x16, (int16x16,), emit)


@intrinsic
def dot_pairs(typing, a, b):  # type: ignore[no-untyped-def]
    """a_0 b_0 + a_1 b_1 of every pair of lanes, as eight int32."""
    return _instruction("llvm.x86.avx2.pmadd.wd", int32x8, _V32)


@intrinsic
def nothing(typing):  # type: ignore[no-untyped-def]
    """Eight zeros, int32."""
    return _of_vectors(int32x8, (), lambda builder, args: ir.Constant(_V32, [0] * (LANES // 2)))


@intrinsic
def add_wide(typing, a, b):  # type: ignore[no-untyped-def]
    """a + b of eight int32."""
    return _of_vectors(int32x8, (int32x8, int32x8), lambda builder, args: builder.add(*args))


@intrinsic
def total(typing, a):  # type: ignore[no-untyped-def]
    """Sum of eight int32."""
    return _of_vectors(
        types.int32,
        (int32x8,),
        lambda builder, args: _call(builder, "llvm.vector.reduce.add.v8i32", _I32, args),
    )


@intrinsic
def store_totals(typing, array, at, a, b, c, d):  # type: ignore[no-untyped-def]
    """Write the sums of four times eight int32 into an int32 array from element `at` on."""

    def emit(context, builder, signature, args):  # type: ignore[no-untyped-def]
        # Lanes 0 to 3 then hold half of each sum, lanes 4 to 7 the other half.
        both = phadd(builder, [phadd(builder, args[k : k + 2]) for k in (2, 4)])
        half = ir.VectorType(_I32, 4)
        parts = [
            builder.shuffle_vector(both, both, ir.Constant(half, list(range(first, first + 4))))
            for first in (0, 4)
        ]
        place = element(context, builder, signature.args[0], args[0], args[1], half)
        builder.store(builder.add(*parts), place).align = 4
        return context.get_dummy_value()

    return types.none(array, at, int32x8, int32x8, int32x8, int32x8), emit


@intrinsic
def load_floats(typing, array, at):  # type: ignore[no-untyped-def]
    """Eight numbers of a float32 array from element `at` on."""
    return float32x8(array, at), _loading(_VF, 4)


@intrinsic
def store_floats(typing, array, at, values):  # type: ignore[no-untyped-def]
    """Write eight numbers into a float32 array from element `at` on."""
    return types.none(array, at, float32x8), _storing(_VF, 4)


@intrinsic
def spread(typing, value):  # type: ignore[no-untyped-def]
    """A float32 in every lane."""
    return _of_vectors(
        float32x8, (types.float32,), lambda builder, args: _everywhere(builder, args[0], _VF)
    )


@intrinsic
def add_product(typing, a, b, c):  # type: ignore[no-untyped-def]
    """a + b c by lane; may be rounded once."""

    def emit(builder, args):  # type: ignore[no-untyped-def]
        product = builder.fmul(args[1], args[2], flags=("contract",))
        return builder.fadd(args[0], product, flags=("contract",))

    return _of_vectors(float32x8, (float32x8, float32x8, float32x8), emit)


@intrinsic
def rectify_floats(typing, a):  # type: ignore[no-untyped-def]
    """max(a, 0) by lane; NaN stays NaN."""

    def emit(builder, args):  # type: ignore[no-untyped-def]
        zero = ir.Constant(_VF, [0.0] * (LANES // 2))
        return builder.select(builder.fcmp_ordered("<", args[0], zero), zero, args[0])

    return _of_vectors(float32x8, (float32x8,), emit)


# What brings the answers of a last layer into blocks of votes.


def _shuffle(builder: Any, a: Any, b: Any, order: list[int]) -> Any:
    return builder.shuffle_vector(
        a, b, ir.Constant(ir.VectorType(ir.IntType(32), len(order)), order)
    )


@intrinsic
def pick(typing, mask, a, b):  # type: ignore[no-untyped-def]
    """a by lane where the mask is not zero, b elsewhere."""

    def emit(context, builder, signature, args):  # type: ignore[no-untyped-def]
        zero = ir.Constant(_VF, [0.0] * _EIGHT)
        return builder.select(builder.fcmp_unordered("!=", args[0], zero), args[1], args[2])

    return float32x8(float32x8, float32x8, float32x8), emit


@intrinsic
def to_floats(typing, a):  # type: ignore[no-untyped-def]
    """Eight int32 as float32."""

    def emit(context, builder, signature, args):  # type: ignore[no-untyped-def]
        return builder.sitofp(args[0], _VF)

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
            place = element(context, builder, signature.args[0], args[0], index, _VF)
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
            place = element(context, builder, signature.args[2], args[2], index, _VF)
            builder.store(row, place).align = 4
            index = builder.add(index, args[4])
        return context.get_dummy_value()

    return types.none(source, types.uint64, target, types.uint64, types.uint64), emit
