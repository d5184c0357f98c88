"""A CPU that passes for a GPU: Triton's interpreter, and streams and graphs that do as they are
told at once. What convolutions leave to kernels is left to torch here, which is as right and much
faster than the interpreter."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Collection, Iterator
from functools import partialmethod
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from kdbts_ros.density.network.decoder import mirrored
from kdbts_ros.density.network.trunk import Activation, activated
from kdbts_ros.density.scene import SceneCompleter
from kdbts_ros.density.whole_frame.beside import Beside


class _Stream:
    def __init__(self, *_: object) -> None: ...

    def synchronize(self) -> None: ...


class _Event:
    def __init__(self, *_: object, **__: object) -> None: ...

    def record(self, *_: object) -> None: ...

    def synchronize(self) -> None: ...

    def elapsed_time(self, _: object) -> float:
        return 1.0


class _Graph:
    def __init__(self, work: Callable[[], None]) -> None:
        self._work = work

    def pool(self) -> tuple[int, int]:
        return (0, 0)

    def replay(self) -> None:
        with torch.inference_mode():
            self._work()


@contextlib.contextmanager
def _nothing(*_: object, **__: object) -> Iterator[None]:
    yield


def install(patch: pytest.MonkeyPatch) -> None:
    """Make torch and the engine believe in a GPU."""
    from kdbts_ros.density.engines.cuda import frame_graph, trunk
    from kdbts_ros.density.engines.cuda.graphs import Replayed

    def recorded(_: Replayed, work: Callable[[], None], __: Any) -> _Graph:
        # As a capture does, once.
        with torch.inference_mode():
            work()
        return _Graph(work)

    let_loops_run(patch)
    zeros = torch.zeros
    patch.setattr(torch, "zeros", lambda *a, pin_memory=False, **k: zeros(*a, **k))
    patch.setattr(torch.cuda, "Stream", _Stream)
    patch.setattr(torch.cuda, "Event", _Event)
    patch.setattr(torch.cuda, "stream", _nothing)
    patch.setattr(torch.cuda, "synchronize", lambda *_: None)
    patch.setattr(Replayed, "_graph", recorded)
    patch.setattr(frame_graph, "_WARM_UPS", 0)
    patch.setattr(trunk, "finished", _finished)
    patch.setattr(trunk, "joined", _joined)
    few_programs(patch, cells=1024, rays=2048, pixels=4096)
    # Minutes of an interpreter, for what is not looked at.
    patch.setattr(Beside, "rehearse", lambda _: None)


def few_programs(patch: pytest.MonkeyPatch, cells: int, rays: int, pixels: int) -> None:
    """Let a program of a kernel do so many: the interpreter takes as long for a thousand as for 32,
    and more than one program shows where the next begins."""
    from kdbts_ros.density.engines.cuda import frame_steps
    from kdbts_ros.density.engines.cuda.multi_view import CudaFusion
    from kdbts_ros.density.engines.cuda.single_view import CudaHead

    patch.setattr(frame_steps, "_PIXELS", pixels)
    patch.setattr(CudaHead, "rays", partialmethod(CudaHead.rays, block=rays))
    patch.setattr(CudaHead, "columns", partialmethod(CudaHead.columns, cells=cells))
    patch.setattr(CudaFusion, "columns", partialmethod(CudaFusion.columns, cells=cells))


def let_loops_run(patch: pytest.MonkeyPatch) -> None:
    """Let a kernel count up to an argument: the interpreter takes an array of one number, which
    numpy no longer takes for a number. The language is made ready once a kernel for the functions
    that it calls: the interpreter would do so for each of thousands of calls."""
    from triton.runtime import interpreter

    prepared, launched = interpreter._patch_lang_tensor, interpreter.InterpretedFunction.run
    ready = set[int]()

    def prepare(tensor: Any, scope: Any) -> None:
        prepared(tensor, scope)
        scope.set_attr(tensor, "__index__", lambda self: int(self.handle.data.item()))

    def run(kernel: Any, *args: Any, **kwargs: Any) -> Any:
        ready.clear()
        return launched(kernel, *args, **kwargs)

    def call(function: Any, *args: Any, **kwargs: Any) -> Any:
        module = id(function.fn.__globals__)
        if module not in ready:
            interpreter._patch_lang(function.fn)
            ready.add(module)
        return function.rewrite()(*args, **kwargs)

    patch.setattr(interpreter, "_patch_lang_tensor", prepare)
    patch.setattr(interpreter.InterpretedFunction, "run", run)
    patch.setattr(interpreter.InterpretedFunction, "__call__", call)


def compiled(patch: pytest.MonkeyPatch) -> set[tuple[object, ...]]:
    """What a GPU would have compiled so far: a kernel for each kind of numbers it is called with.

    Triton takes sizes of 1 and multiples of 16 for kinds of their own, unless a kernel tells it not
    to, and its constants, which are in capitals, one by one. Kernels are not run: everything is 0.
    """
    from triton.runtime.interpreter import InterpretedFunction

    from kdbts_ros.density.whole_frame import several_views, single_view

    found = set[tuple[object, ...]]()

    def run(kernel: Any, *args: Any, **kwargs: Any) -> None:
        told = dict(zip(kernel.arg_names, args, strict=False)) | kwargs
        free = kernel.kwargs["do_not_specialize"] or ()
        kinds = ((name, _kind(name, told[name], free)) for name in kernel.arg_names)
        found.add((kernel.__name__, *kinds))

    patch.setattr(InterpretedFunction, "run", run)
    patch.setattr(torch, "empty", torch.zeros)
    for module, check in (
        (single_view, "alike"),
        (single_view, "alike_depth"),
        (several_views, "alike"),
    ):
        patch.setattr(module, check, lambda *_: 1.0)
    return found


def _kind(name: str, value: Any, free: Collection[str]) -> object:
    if isinstance(value, Tensor):
        return value.dtype
    if name.isupper() or isinstance(value, float):
        return value
    return "any" if name in free else 1 if value == 1 else "aligned" if value % 16 == 0 else "odd"


def scene_on_gpu(scene: SceneCompleter) -> SceneCompleter:
    """The scene with the engine of a GPU, in float32."""
    from kdbts_ros.density.engines.cuda.engine import CudaEngine
    from kdbts_ros.density.engines.cuda.trunk import CudaField

    engine = CudaEngine(scene.field, "float32")
    engine.trunk = CudaField(scene.network, scene.field.own, torch.float32)
    scene.engine = engine
    return scene


def _finished(
    x: Tensor, bias: Tensor, activation: Activation, skip: Tensor | None = None
) -> Tensor:
    added = x + bias[:, None, None]
    return activated(added if skip is None else added + skip, activation)


def _joined(
    x: Tensor, bias: Tensor | None = None, skip: Tensor | None = None, up: int = 1
) -> Tensor:
    if bias is not None:
        x = F.elu(x + bias[:, None, None])
    x = F.interpolate(x, scale_factor=up) if up > 1 else x
    return mirrored(x if skip is None else torch.cat([x, skip], 1)).contiguous(
        memory_format=torch.channels_last
    )
