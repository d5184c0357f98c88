"""Distillation: who learns, who does not, and what the student ends up knowing."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from kdbts_ros.density.checkpoints.checkpoint import save_network
from kdbts_ros.density.network.network import DensityNetwork, NetworkSpec
from kdbts_ros.errors import UserError
from kdbts_ros.learning.config.clip_stages import DistillStage
from kdbts_ros.learning.config.config_file import parse_config
from kdbts_ros.learning.config.training import TrainingConfig
from kdbts_ros.learning.frames.draws import Draws
from kdbts_ros.learning.run.tasks import DistillTask, PhotometricTask, task_of
from test.learning import plain_world

SMALL = {
    "trunk": "resnet18",
    "feature_channels": 8,
    "decoder_channels": (8, 8, 8, 16, 16),
    "image_height": plain_world.HEIGHT_PX,
    "image_width": plain_world.WIDTH_PX,
}
TWO_HEADED = NetworkSpec(head="mvbts", head_widths=(16, 4, 4), student_widths=(8,), **SMALL)
STAGE = {"kind": "distill", "steps": 2, "batch": 2, "views": 3, "patches": 4, "samples": 8}
NETWORK = {
    "head": "mvbts",
    "student": True,
    "head_width": 8,
    "multi_view_widths": [16, 4, 4],
    "feature_channels": 8,
    "decoder_channels": [8, 8, 8, 16, 16],
    "image_height": plain_world.HEIGHT_PX,
    "image_width": plain_world.WIDTH_PX,
}


def settings(network: dict[str, object], **stage: object) -> TrainingConfig:
    return parse_config({"name": "t", "network": network, "stages": [{**STAGE, **stage}]})


def losses(task: DistillTask | PhotometricTask, network: DensityNetwork) -> dict[str, float]:
    """One step's losses, their gradients left in the network."""
    clips = [plain_world.PlainClips(0, 0)(seed) for seed in (1, 2)]
    network.train()
    with task.holding(network):
        found = task.losses(network, clips, Draws(0, 0, 0, range(2)))
        found["loss"].backward()
    return {name: float(value.detach()) for name, value in found.items()}


def distilling(config: TrainingConfig) -> DistillTask:
    task = task_of(config, config.stages[0], torch.device("cpu"))
    assert isinstance(task, DistillTask)
    return task


def learns(module: torch.nn.Module) -> bool:
    return any(p.grad is not None and bool(p.grad.any()) for p in module.parameters())


def test_frozen_distillation_moves_the_student_alone() -> None:
    network = DensityNetwork(TWO_HEADED)
    before = {k: v.clone() for k, v in network.state_dict().items() if "running" in k}
    losses(distilling(settings(NETWORK, freeze=True, photometric=0.0)), network)
    assert learns(network.student)
    assert not any(learns(part) for part in (network.encoder, network.decoder, network.head))
    assert all(torch.equal(network.state_dict()[k], v) for k, v in before.items())
    assert all(p.requires_grad for p in network.parameters()), "only within the stage"


def test_joint_distillation_teaches_the_trunk_but_never_the_teacher() -> None:
    network = DensityNetwork(TWO_HEADED)
    found = losses(distilling(settings(NETWORK)), network)
    assert learns(network.student) and learns(network.encoder) and not learns(network.head)
    assert found["loss"] > 0.01 * found["distilled"] > 0


def test_a_teacher_of_its_own_file_is_not_touched(tmp_path: Path) -> None:
    torch.manual_seed(0)
    teacher = DensityNetwork(TWO_HEADED)
    path = save_network(tmp_path / "teacher.safetensors", teacher, {}, half=False)
    single = {k: v for k, v in NETWORK.items() if k not in ("student", "multi_view_widths")}
    task = distilling(settings({**single, "head": "kdbts"}, teacher=str(path)))
    network = DensityNetwork(NetworkSpec(head="kdbts", head_widths=(8,), **SMALL))
    assert losses(task, network)["distilled"] > 0
    assert learns(network.encoder) and learns(network.head)
    assert task._teacher is not None and not learns(task._teacher)
    assert not task._teacher.training


def test_a_student_that_agrees_has_nothing_to_learn(tmp_path: Path) -> None:
    """A teacher whose views all agree with the first tells a copy of itself nothing new."""
    network = DensityNetwork(TWO_HEADED)
    for head in network.heads().values():
        torch.nn.init.zeros_(head.output_bias())
    for part in (network.student.mlp.lin_out, network.head.mlp2.lin_out):
        torch.nn.init.zeros_(part.weight)
    found = losses(distilling(settings(NETWORK, photometric=0.0)), network)
    assert found["distilled"] == pytest.approx(0, abs=1e-7)


def test_a_teacher_must_fuse_views(tmp_path: Path) -> None:
    spec = NetworkSpec(head="bts", head_widths=(8,), **SMALL)
    path = save_network(tmp_path / "bts.safetensors", DensityNetwork(spec), {})
    config = settings({"head": "kdbts"}, teacher=str(path))
    with pytest.raises(UserError, match="reads one view; a teacher must fuse several"):
        task_of(config, config.stages[0], torch.device("cpu"))


@pytest.mark.parametrize(
    ("network", "stage", "message"),
    [
        ({"head": "kdbts"}, {}, "stages.0 distils: it needs a 'teacher'"),
        ({"head": "mvbts"}, {}, "stages.0 distils: it needs a 'teacher'"),
        ({"head": "mvbts", "student": True}, {"teacher": "x"}, "must then be a single-view one"),
        ({"head": "bts"}, {"kind": "photometric"}, "encodes 3 views, but the head 'bts'"),
    ],
)
def test_contradictions_are_told(
    network: dict[str, object], stage: dict[str, object], message: str
) -> None:
    with pytest.raises(UserError, match=message):
        settings(network, **stage)


def test_photometric_learning_with_several_views_reaches_both_heads() -> None:
    config = settings(NETWORK, kind="photometric")
    network = DensityNetwork(TWO_HEADED)
    task = task_of(config, config.stages[0], torch.device("cpu"))
    assert isinstance(task, PhotometricTask)
    found = losses(task, network)
    assert {"photometric", "student_photometric"} <= found.keys()
    assert learns(network.head) and learns(network.student) and learns(network.encoder)


def test_a_distill_stage_encodes_at_least_two_views() -> None:
    with pytest.raises(ValueError, match="greater than or equal to 2"):
        DistillStage(**{**STAGE, "views": 1})


EXACT = {"kind": "supervised", "steps": 1, "batch": 2, "views": 2, "points": 64, "rays": 16}


def exact_losses(network: DensityNetwork, **stage: object) -> dict[str, float]:
    config = parse_config({"name": "t", "network": NETWORK, "stages": [{**EXACT, **stage}]})
    task = task_of(config, config.stages[0], torch.device("cpu"))
    frames = [plain_world.PlainWorlds(0, 0, 64, 8, 2)(seed) for seed in (1, 2)]
    network.train()
    found = task.losses(network, frames, Draws(0, 0, 0, range(2)))
    found["loss"].backward()
    return {name: float(value.detach()) for name, value in found.items()}


def test_beside_the_truth_the_teacher_is_heard_but_not_taught() -> None:
    torch.manual_seed(0)
    network = DensityNetwork(TWO_HEADED)
    plain, distilled = (
        exact_losses(network, view_dropout=0.0, **extra) for extra in ({}, {"distillation": 0.7})
    )
    assert "distilled" not in plain
    assert distilled["distilled"] > 0
    rest = {name: value for name, value in distilled.items() if name not in ("loss", "distilled")}
    assert rest == pytest.approx({name: plain[name] for name in rest})
    expected = plain["loss"] + 0.7 * distilled["distilled"]
    assert distilled["loss"] == pytest.approx(expected)


def test_the_lesson_carries_no_gradient_to_its_teacher() -> None:
    def head_gradient(**stage: object) -> torch.Tensor:
        torch.manual_seed(0)
        network = DensityNetwork(TWO_HEADED)
        exact_losses(network, view_dropout=0.0, **stage)
        gradient = network.head.mlp2.lin_out.weight.grad
        assert gradient is not None
        return gradient

    torch.testing.assert_close(head_gradient(), head_gradient(distillation=100.0))


@pytest.mark.parametrize(
    ("network", "stage"),
    [
        ({**NETWORK, "student": False}, {"distillation": 1.0}),
        ({"head": "bts"}, {"views": 1, "distillation": 1.0}),
        (NETWORK, {"views": 1, "distillation": 1.0}),
    ],
)
def test_distillation_beside_the_truth_needs_a_student_and_several_views(
    network: dict[str, object], stage: dict[str, object]
) -> None:
    with pytest.raises(UserError, match=r"stages\.0 has .distillation."):
        parse_config({"name": "t", "network": network, "stages": [{**EXACT, **stage}]})
