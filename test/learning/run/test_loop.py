"""A whole run on a tiny network: it learns, stops, resumes, exports, and survives a full disk."""

from __future__ import annotations

import itertools
import json
import os
import signal
from pathlib import Path
from typing import Any

import pytest
import torch

from kdbts_ros.cli.train import distill
from kdbts_ros.density.checkpoints.checkpoint import load_network
from kdbts_ros.errors import UserError
from kdbts_ros.learning.config.config_file import parse_config
from kdbts_ros.learning.record import diary
from kdbts_ros.learning.record.progress import StepReport
from kdbts_ros.learning.run import resuming
from kdbts_ros.learning.run.loop import Trainer
from kdbts_ros.learning.run.parallel import Ranks
from kdbts_ros.learning.run.rehearsal import rehearse
from test.learning import plain_world


@pytest.fixture(autouse=True)
def plain(monkeypatch: pytest.MonkeyPatch) -> None:
    plain_world.replace_sources(monkeypatch)


def stages_with(folder: Path, **changes: Any) -> list[dict[str, Any]]:
    """The two stages of a tiny run, both with changes."""
    return [{**stage, **changes} for stage in plain_world.settings(folder)["stages"]]


def encoder_of(trainer: Trainer) -> dict[str, torch.Tensor]:
    return {name: v.clone() for name, v in trainer.network.encoder.state_dict().items()}


def trainer_of(folder: Path, resume: bool = False, **changes: Any) -> Trainer:
    return Trainer(parse_config(plain_world.settings(folder, **changes)), resume)


def losses(trainer: Trainer, stop_after: int | None = None) -> list[float]:
    """Run; the loss of every step. `stop_after` sends SIGTERM within that step of the run."""
    seen: list[float] = []

    def listen(report: StepReport) -> None:
        seen.append(report.values["loss"])
        if report.step == stop_after:
            os.kill(os.getpid(), signal.SIGTERM)

    trainer.listeners.append(listen)
    assert trainer.run() == (stop_after is None)
    return seen


def test_a_run_goes_through_its_stages_and_exports(tmp_path: Path) -> None:
    trainer = trainer_of(tmp_path)
    assert trainer.run()
    assert trainer.step == 5
    network, info = load_network(trainer.export())
    assert info.notes["steps"] == "5"
    assert network.spec.image_width == plain_world.WIDTH_PX
    first, info = load_network(tmp_path / "tiny" / "stage0.safetensors")
    assert 0 < int(info.notes["steps"]) < 5
    assert any(
        not torch.equal(a, b) for a, b in zip(first.parameters(), network.parameters(), strict=True)
    )
    assert not (tmp_path / "tiny" / "stage1.safetensors").exists()
    lines = [json.loads(x) for x in (tmp_path / "tiny" / "metrics.jsonl").read_text().splitlines()]
    assert [x["step"] for x in lines if "watched" not in x] == [1, 2, 3, 4, 5]
    assert all(x["samples_per_s"] > 0 for x in lines if "watched" not in x)


@pytest.mark.parametrize("stop", [2, 4])
def test_a_stopped_and_resumed_run_equals_an_uninterrupted_one(tmp_path: Path, stop: int) -> None:
    whole = trainer_of(tmp_path / "whole")
    expected = losses(whole)
    first = trainer_of(tmp_path / "parts")
    begun = losses(first, stop_after=stop)
    assert first.step == stop
    resumed = trainer_of(tmp_path / "parts", resume=True)
    assert resumed.step == stop
    assert begun + losses(resumed) == expected
    mine, theirs = resumed.network.state_dict(), whole.network.state_dict()
    assert all(torch.equal(mine[name], theirs[name]) for name in theirs)
    averages = [t.descent.average.state_dict() for t in (resumed, whole)]
    assert all(
        torch.equal(torch.as_tensor(averages[0][k]), torch.as_tensor(v))
        for k, v in averages[1].items()
    )


def test_work_after_the_last_state_is_done_again_and_told_once(tmp_path: Path) -> None:
    """A crash between two states: the steps since the last one are repeated exactly."""
    trainer = trainer_of(tmp_path)
    trainer._save()
    seen: list[float] = []

    def crash(report: StepReport) -> None:
        seen.append(report.values["loss"])
        if report.step == 2:
            raise RuntimeError("power cut")

    trainer.listeners.append(crash)
    with pytest.raises(RuntimeError, match="power cut"):
        trainer.run()
    assert losses(trainer_of(tmp_path, resume=True))[:2] == seen
    assert len(set(seen)) == 2


def test_the_best_network_is_kept_beside_the_last(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    figures = iter([0.4, 0.3])

    class Watcher(plain_world.BlindWatcher):
        def look(self, network: object, step: int) -> dict[str, float]:
            return {"map_iou": next(figures)}

    monkeypatch.setattr(diary, "Watcher", Watcher)
    trainer = trainer_of(tmp_path)
    assert trainer.run()
    _, info = load_network(tmp_path / "tiny" / "best.safetensors")
    assert info.notes["steps"] == "3"
    resumed = trainer_of(tmp_path, resume=True)
    assert resumed.position.best == {"step": 3, "value": 0.4}


def test_an_existing_run_is_not_overwritten(tmp_path: Path) -> None:
    trainer_of(tmp_path)._save()
    with pytest.raises(UserError, match="--resume"):
        trainer_of(tmp_path)


def test_resuming_nothing_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="nothing to resume"):
        trainer_of(tmp_path, resume=True)


def test_resume_refuses_another_network(tmp_path: Path) -> None:
    trainer_of(tmp_path)._save()
    network = {**plain_world.settings(tmp_path)["network"], "head_width": 32}
    with pytest.raises(UserError, match="network section"):
        trainer_of(tmp_path, resume=True, network=network)


def test_a_full_disk_keeps_the_previous_state(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trainer = trainer_of(tmp_path)
    trainer._save()
    before = (trainer.folder.path / "state.pt").read_bytes()

    def full(state: object, file: Any) -> None:
        file.write(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(torch, "save", full)
    with pytest.raises(UserError, match="No space left"):
        trainer._save()
    assert (trainer.folder.path / "state.pt").read_bytes() == before
    assert not list(trainer.folder.path.glob("*.partial"))


def test_a_damaged_state_is_one_sentence(tmp_path: Path) -> None:
    trainer_of(tmp_path)._save()
    (tmp_path / "tiny" / "state.pt").write_bytes(b"not a state")
    with pytest.raises(UserError, match="damaged"):
        trainer_of(tmp_path, resume=True)


def test_a_rehearsal_takes_a_few_steps_of_each_stage_and_writes_nothing(tmp_path: Path) -> None:
    config = parse_config(plain_world.settings(tmp_path, steps=500))
    stages = list(rehearse(config, 2, Ranks()))
    assert [stage.kind for stage in stages] == ["supervised", "photometric"]
    assert all(stage.samples_per_s > 0 and stage.losses["loss"] > 0 for stage in stages)
    assert not list(tmp_path.iterdir())


def test_a_state_of_version_0_1_still_resumes(tmp_path: Path) -> None:
    trainer = trainer_of(tmp_path)
    old = {
        "network_config": trainer.config.network.model_dump_json(),
        "network": trainer.network.state_dict(),
        "optimiser": trainer.descent.state_dict()["optimiser"],
        "average": trainer.descent.average.state_dict(),
        "progress": {"stage": 1, "stage_step": 1, "stage_seconds": 4.0, "step": 4, "received": 9},
    }
    torch.save(old, tmp_path / "tiny" / "state.pt")
    resumed = trainer_of(tmp_path, resume=True)
    assert (resumed.step, resumed.position.stage, resumed.position.stage_step) == (4, 1, 1)
    assert resumed.run()


def test_distill_needs_a_stage_that_distils(tmp_path: Path) -> None:
    file = tmp_path / "config.yaml"
    file.write_text("name: a\nstages:\n  - {kind: supervised, minutes: 5}\n")
    with pytest.raises(UserError, match="no stage of kind distill"):
        distill(file)


def test_a_frozen_student_stays_while_the_other_head_learns_over_its_hidden_layer(
    tmp_path: Path,
) -> None:
    stage = {
        "kind": "supervised",
        "steps": 3,
        "batch": 2,
        "views": 2,
        "freeze_trunk": True,
        "freeze_student": True,
        "points": 64,
        "rays": 16,
        "columns": 8,
        "samples": 8,
        "pool": {"capacity": 8, "minimum": 2, "reuse": 2},
    }
    network = {
        **plain_world.settings(tmp_path)["network"],
        "head": "mvbts",
        "student": True,
        "shared_hidden": True,
        "multi_view_widths": [16, 4, 4],
    }
    trainer = trainer_of(tmp_path, network=network, stages=[stage])
    before = {name: value.clone() for name, value in trainer.network.state_dict().items()}
    assert trainer.run()
    with trainer.descent.average.applied(trainer.network):
        after = trainer.network.state_dict()
        moved = {name for name in after if not torch.equal(after[name], before[name])}
    assert moved and all(name.startswith(("head.mlp.lin_out", "head.mlp2")) for name in moved)
    assert load_network(trainer.export())[1].spec.shared_hidden


def test_resume_names_every_setting_that_differs(tmp_path: Path) -> None:
    """Of the whole config: other seeds, rates or data are another experiment."""
    trainer_of(tmp_path)._save()
    recorded = (tmp_path / "tiny" / "config.json").read_text()
    stages = plain_world.settings(tmp_path)["stages"]
    changed = [{**stages[0], "length": 0.7}, *stages[1:]]
    with pytest.raises(
        UserError, match=r"seed was \d+ and is 77.*stages\.0\.length was"
    ) as refused:
        trainer_of(tmp_path, resume=True, seed=77, stages=changed)
    assert "start a run of another name" in str(refused.value)
    # The run's own config is still beside its state.
    assert (tmp_path / "tiny" / "config.json").read_text() == recorded


def test_resume_may_go_on_for_longer_and_elsewhere(tmp_path: Path) -> None:
    trainer_of(tmp_path)._save()
    longer = [{**stage, "steps": 50} for stage in plain_world.settings(tmp_path)["stages"]]
    trainer_of(tmp_path, resume=True, stages=longer, log_every=7, checkpoint_seconds=3.0)


@pytest.mark.parametrize(
    ("kind", "key"), [("distill", "teacher"), ("supervised", "feature_teacher")]
)
def test_resume_refuses_a_teacher_that_was_replaced_under_its_name(
    tmp_path: Path, kind: str, key: str
) -> None:
    teacher = tmp_path / "teacher.safetensors"
    stage = {"kind": kind, "steps": 2, key: str(teacher)}
    found = []
    for content in (b"first", b"second"):
        teacher.write_bytes(content)
        config = parse_config(plain_world.settings(tmp_path, stages=[stage]))
        found.append(resuming.identity_of(config))
    refused = f"stages.0.{key} was the checkpoint of sha256 .* and is the checkpoint of sha256"
    with pytest.raises(UserError, match=refused):
        resuming.refuse_other(*found, "other", "cure")
    resuming.refuse_other(found[0], found[0], "other", "cure")


def test_rates_of_the_encoder_are_its_own(tmp_path: Path) -> None:
    """And a stage without them takes the steps of a run that knows none."""
    stages = stages_with(tmp_path)
    stages[1]["optimiser"] = {"trunk_rate": 0.0}
    trainer, usual = trainer_of(tmp_path / "a", stages=stages), trainer_of(tmp_path / "b")
    before: list[dict[str, torch.Tensor]] = []
    trainer.listeners.append(lambda report: before.append(encoder_of(trainer)))
    assert losses(trainer)[:4] == losses(usual)[:4]
    weights = [name for name in before[0] if name.endswith("weight")]
    # Three steps of the first stage, two of the second.
    assert all(torch.equal(before[2][name], before[4][name]) for name in weights)
    assert not any(torch.equal(before[0][name], before[2][name]) for name in weights)


def test_frozen_levels_stay_and_deeper_ones_learn(tmp_path: Path) -> None:
    trainer = trainer_of(tmp_path, stages=stages_with(tmp_path, freeze_levels=2))
    before = encoder_of(trainer)
    assert trainer.run()
    after = encoder_of(trainer)
    moved = {name for name in after if not torch.equal(after[name], before[name])}
    assert moved == {name for name in after if not name.startswith(("parts.0.", "parts.1."))}


@pytest.mark.parametrize("stop", [1, 2])
def test_a_decoder_is_warmed_up_over_an_encoder_that_stays(tmp_path: Path, stop: int) -> None:
    stages = stages_with(tmp_path, warm_decoder=0.5, steps=3)[:1]
    trainer = trainer_of(tmp_path / "whole", stages=stages)
    seen = [encoder_of(trainer)]
    trainer.listeners.append(lambda report: seen.append(encoder_of(trainer)))
    expected = losses(trainer)
    same = [all(torch.equal(a[k], b[k]) for k in a) for a, b in itertools.pairwise(seen)]
    # The second step begins at a third of the stage, the third one at two thirds.
    assert same == [True, True, False]
    begun = losses(trainer_of(tmp_path / "parts", stages=stages), stop_after=stop)
    assert begun + losses(trainer_of(tmp_path / "parts", stages=stages, resume=True)) == expected


def test_a_state_from_before_a_key_was_there_resumes_where_it_is_left_alone(tmp_path: Path) -> None:
    trainer = trainer_of(tmp_path)
    trainer._identity = {
        key: value
        for key, value in trainer._identity.items()
        if not key.endswith(("near_share", "warm_decoder", "depth_near", "streets.narrow"))
    }
    trainer._save()
    trainer_of(tmp_path, resume=True)
    stages = stages_with(tmp_path)
    stages[0]["near_share"] = 0.2
    with pytest.raises(UserError, match=r"stages\.0\.near_share was not there and is 0\.2"):
        trainer_of(tmp_path, resume=True, stages=stages)
