"""Several processes that train one network, on one machine or on many, as torchrun starts them."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from kdbts_ros.density.network.precision import choose_device
from kdbts_ros.errors import UserError

LOST = (
    "another process of the run ended or did not answer within {seconds:.0f} s; the state is kept: "
    "look for the first error above, then start all processes again with --resume"
)


@dataclass(frozen=True)
class Ranks:
    """Which of how many processes this is; one alone communicates with nobody.

    Attributes:
        rank: number of this process. world: how many there are. local: number on its machine.
        on_machine: processes on its machine. patience: seconds after which a silent one is lost.
    """

    rank: int = 0
    world: int = 1
    local: int = 0
    on_machine: int = 1
    patience: float = 600.0

    @property
    def leads(self) -> bool:
        """Whether this process writes checkpoints, logs and pictures."""
        return self.rank == 0

    def places(self, batch: int) -> range:
        """The places of a global batch that this process takes.

        Raises:
            UserError: the batch cannot be shared equally.
        """
        share, rest = divmod(batch, self.world)
        if rest or not share:
            raise UserError(
                f"a batch of {batch} cannot be shared by {self.world} processes; "
                f"set batch to a multiple of {self.world}"
            )
        return range(self.rank * share, (self.rank + 1) * share)

    def device(self, chosen: torch.device) -> torch.device:
        """The GPU of this process where a GPU was chosen.

        Raises:
            UserError: the machine has fewer GPUs than processes.
        """
        if chosen.type != "cuda" or self.world == 1:
            return chosen
        if self.on_machine > torch.cuda.device_count():
            raise UserError(
                f"{self.on_machine} processes share {torch.cuda.device_count()} GPUs; "
                "start one process for each GPU (torchrun --nproc-per-node gpu)"
            )
        return torch.device("cuda", self.local)

    def sharing_gradients(self, lesson: nn.Module) -> nn.Module:
        """A module whose backward pass leaves the mean of all processes' gradients everywhere.

        Weights of the first process are given to all. What learns is settled here: build it anew
        when something is frozen or thawed. A parameter that no process used keeps no gradient, so
        that weight decay leaves it alone as it would in one process.
        """
        if self.world == 1:
            return lesson
        with self.bounded():
            # Running statistics are those of the whole batch already, in every process.
            return DistributedDataParallel(
                lesson, broadcast_buffers=False, find_unused_parameters=True
            )

    def mean(self, values: Mapping[str, float], device: torch.device) -> dict[str, float]:
        """Means over the processes of figures of the same names."""
        if self.world == 1:
            return dict(values)
        message = torch.tensor(list(values.values()), dtype=torch.float32, device=device)
        self._sum(message)
        return dict(zip(values, (message / self.world).tolist(), strict=True))

    def largest(self, values: Sequence[float], device: torch.device) -> list[float]:
        """The largest of each value over the processes: what one has noticed all know."""
        if self.world == 1:
            return list(values)
        message = torch.tensor(values, dtype=torch.float64, device=device)
        with self.bounded():
            dist.all_reduce(message, dist.ReduceOp.MAX)
        return [float(value) for value in message.tolist()]

    def bytes_from_first(self, content: bytes) -> bytes:
        """What the first process has read, in every process."""
        if self.world == 1:
            return content
        held = [content]
        with self.bounded():
            dist.broadcast_object_list(held, 0)
        return held[0]

    def _sum(self, message: Tensor) -> None:
        with self.bounded():
            dist.all_reduce(message)

    @contextmanager
    def bounded(self) -> Iterator[None]:
        """Around what communicates: a process that is lost meanwhile is one sentence."""
        try:
            yield
        except (dist.DistError, RuntimeError) as error:
            if self.world == 1 or not _is_about_communication(error):
                raise
            raise LostProcess(LOST.format(seconds=self.patience)) from error


class LostProcess(UserError):
    """Another process of the run is gone."""


@contextmanager
def joined(device_name: str, patience: float) -> Iterator[Ranks]:
    """This process's place among those that torchrun started; alone where it was not torchrun.

    Raises:
        UserError: the others do not come within `patience` seconds.
    """
    world = int(os.environ.get("WORLD_SIZE", "1"))
    if world == 1:
        yield Ranks(patience=patience)
        return
    ranks = Ranks(
        rank=int(os.environ["RANK"]),
        world=world,
        local=int(os.environ.get("LOCAL_RANK", "0")),
        on_machine=int(os.environ.get("LOCAL_WORLD_SIZE", str(world))),
        patience=patience,
    )
    device = ranks.device(choose_device(device_name))
    if device.type == "cuda":
        torch.cuda.set_device(device)
    try:
        dist.init_process_group(
            "nccl" if device.type == "cuda" else "gloo",
            rank=ranks.rank,
            world_size=world,
            timeout=timedelta(seconds=patience),
        )
    except (dist.DistError, RuntimeError, ValueError) as error:
        raise UserError(
            f"process {ranks.rank} of {world} did not meet the others within {patience:.0f} s at "
            f"{os.environ.get('MASTER_ADDR')}:{os.environ.get('MASTER_PORT')}: "
            f"{str(error).splitlines()[0]}"
        ) from error
    try:
        yield ranks
    finally:
        dist.destroy_process_group()


def _is_about_communication(error: BaseException) -> bool:
    """gloo and nccl report a lost peer as a plain RuntimeError with words of their own."""
    words = str(error).lower()
    signs = ("gloo", "nccl", "connection", "peer", "timed out", "timeout", "socket")
    return isinstance(error, dist.DistError) or any(sign in words for sign in signs)
