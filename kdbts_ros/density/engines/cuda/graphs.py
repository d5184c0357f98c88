"""Work that is launched on a GPU's stream, recorded once and replayed."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch


class Replayed:
    """Kinds of work on one stream, for the one thread that made it: a graph belongs to the thread
    that captured it, as much of torch's state beside it does.

    `note` says in a sentence why there are no graphs, where the work is launched step by step.
    """

    def __init__(
        self,
        stream: torch.cuda.Stream,
        work: Sequence[Callable[[], None]],
        name: str,
        graphed: bool,
    ) -> None:
        """work: one kind for every slot of memory, each of which has run before: what compiles or
        allocates in the course of a capture would spoil it. graphed: False launches every step."""
        self.stream, self.note, self._work = stream, "", work
        self._graphs: list[torch.cuda.CUDAGraph] = []
        self._done = [
            torch.cuda.Event()  # type: ignore[no-untyped-call]
            for _ in work
        ]
        if graphed:
            self._capture(name)

    @property
    def graphed(self) -> bool:
        return bool(self._graphs)

    def launch(self, index: int) -> None:
        """Start the work of that index; see `wait`."""
        if self._graphs:
            with torch.cuda.stream(self.stream):
                self._graphs[index].replay()
                self._done[index].record(self.stream)
            return
        with settings(), torch.cuda.stream(self.stream):
            self._work[index]()
            self._done[index].record(self.stream)

    def wait(self, index: int) -> None:
        """Until the work of that index, if it was ever launched, is done."""
        self._done[index].synchronize()

    def device_times(self, index: int, repeats: int) -> tuple[float, ...]:
        """Milliseconds of the device alone, by its own clock, for work whose data lie ready."""
        pairs = []
        with torch.cuda.stream(self.stream):
            for _ in range(repeats):
                begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))  # type: ignore[no-untyped-call]
                begin.record(self.stream)
                self.launch(index)
                end.record(self.stream)
                pairs.append((begin, end))
        self.stream.synchronize()
        return tuple(begin.elapsed_time(end) for begin, end in pairs)

    def _capture(self, name: str) -> None:
        pool = None
        try:
            for work in self._work:
                self._graphs.append(self._graph(work, pool))
                # One kind at a time is computed: graphs may share what lies between steps.
                pool = self._graphs[0].pool()
        except RuntimeError as error:
            reason = str(error).strip().split("\n")[0]
            self.note = f"{name} are launched step by step: no CUDA graph could be made, {reason}"
            self._graphs.clear()
            torch.cuda.synchronize()

    def _graph(self, work: Callable[[], None], pool: Any) -> torch.cuda.CUDAGraph:
        graph = torch.cuda.CUDAGraph()
        # Other threads may allocate meanwhile.
        capture = torch.cuda.graph(
            graph, pool=pool, stream=self.stream, capture_error_mode="thread_local"
        )
        with settings(), capture:
            work()
        return graph


@contextlib.contextmanager
def settings() -> Iterator[None]:
    """No gradients; the fastest convolutions there are, which the first runs find."""
    fastest = torch.backends.cudnn.flags(enabled=True, benchmark=True, deterministic=False)
    with torch.inference_mode(), fastest:
        yield
