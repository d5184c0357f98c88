"""Adaptation from a recording to weights: nothing for worse, nothing lost."""

from __future__ import annotations

import errno
import os
import signal
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
import typer
from typer.testing import CliRunner

from kdbts_ros.adaptation import rehearsal, run
from kdbts_ros.adaptation.clips import BagClips, Clip
from kdbts_ros.adaptation.judge import Judge, Score, photometric_error
from kdbts_ros.adaptation.run import Request, adapt, check
from kdbts_ros.adaptation.settings import AdaptSettings
from kdbts_ros.adaptation.step import adapt_step, collate
from kdbts_ros.cli.adapt import adapt as command
from kdbts_ros.datasets.bags.drive import BagDrive
from kdbts_ros.datasets.kitti.files import rigid
from kdbts_ros.density.cameras.training_camera import TrainingCamera
from kdbts_ros.density.checkpoints.checkpoint import load_network
from kdbts_ros.density.geometry.camera import R_BODY_OPTICAL
from kdbts_ros.density.network.network import DensityNetwork, sample_features
from kdbts_ros.density.network.projection import project
from kdbts_ros.density.scene import SceneCompleter
from kdbts_ros.errors import UserError
from kdbts_ros.evaluation.intervals import FrameTable
from kdbts_ros.learning.frames.draws import Draws
from kdbts_ros.learning.record.state_file import StateFile
from test.adaptation.conftest import record
from test.datasets.box_room import room_depth, room_view
from test.density.networks import thin_spec

SETTINGS = AdaptSettings(
    minutes=0.03, batch=2, rays=40, patches=2, samples=12, held_out=0.2, look_seconds=1.0
)
APP = typer.Typer()
APP.command()(command)
RUNNER = CliRunner()


class InProcess:
    """Stands in for the background process: makes three clips and no more."""

    made: ClassVar[dict[tuple[str, int], Any]] = {}

    def __init__(
        self,
        make: Callable[[int], Any],
        capacity: int,
        seed: int,
        received: int,
        reuse: int = 50,
    ) -> None:
        self._make, self.received, self.having = make, received, 99

    def __enter__(self) -> InProcess:
        return self

    def __exit__(self, *exception: object) -> None:
        return None

    def draw(self, count: int) -> list[Any]:
        self.received += count
        return [self.frame((self.received + k) % 3) for k in range(count)]

    def frame(self, seed: int) -> Any:
        key = type(self._make).__name__, seed
        if key not in self.made:
            self.made[key] = self._make(seed)
        return self.made[key]


@pytest.fixture(autouse=True)
def in_process(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(run, "FrameSupply", InProcess)
    monkeypatch.setattr(run, "HELD_OUT_CLIPS", 2)
    InProcess.made.clear()
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture
def request_(tmp_path: Path, checkpoint: Path) -> Request:
    return Request(tmp_path / "room.safetensors", str(checkpoint), SETTINGS, "cpu")


def quiet(share: float, text: str) -> None:
    """A display that shows nothing."""


def test_better_weights_are_written_and_load(room_bag: Path, request_: Request) -> None:
    drives = [BagDrive(room_bag)]
    inspection = check(drives, request_)
    said: list[str] = []
    result = adapt(drives, inspection, request_, quiet, said.append)
    assert result.finished
    assert any("photometric error" in line for line in said)
    assert result.page is not None and "held-out clips" in result.page.read_text()
    assert (request_.folder / "held_out_0.png").is_file()
    if result.improved:
        network, info = load_network(request_.out)
        assert info.notes["adapted_on"] == '["room"]'
        assert "camera" in info.notes  # whose camera it was is not forgotten
        start, _ = load_network(request_.checkpoint)
        norms = [k for k in network.state_dict() if "running_mean" in k]
        for name in norms:
            torch.testing.assert_close(network.state_dict()[name], start.state_dict()[name])
        SceneCompleter.load(request_.out, "cpu").set_views(
            [room_view(rigid(R_BODY_OPTICAL, (0, 0, 1.2)))]
        )
    else:
        assert not request_.out.exists()


def test_a_gain_that_chance_explains_is_not_better(
    room_bag: Path, request_: Request, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The best look has the least error, but some clips gained as much as others lost."""
    drives = [BagDrive(room_bag)]
    scores = iter([Score(0.2, 0.3), *(Score(0.19, 0.3) for _ in range(100))])
    monkeypatch.setattr(Judge, "score", lambda self, looks: next(scores))
    monkeypatch.setattr(
        FrameTable, "difference_intervals", lambda *_: {"photometric": (-0.03, 0.01)}
    )
    result = adapt(drives, check(drives, request_), request_, quiet, quiet_line)
    assert not result.improved and not request_.out.exists()
    assert "95 % interval of the change -0.0300 to +0.0100" in result.sentence
    assert result.sentence.startswith("Not better:")


def test_what_is_not_better_is_not_written(
    room_bag: Path, request_: Request, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Judge, "score", lambda self, looks: Score(0.2, 0.3))
    drives = [BagDrive(room_bag)]
    result = adapt(drives, check(drives, request_), request_, quiet, quiet_line)
    assert result.finished and not result.improved
    assert result.sentence.startswith("Not better: photometric error 0.2000 -> 0.2000")
    assert not request_.out.exists()


def quiet_line(text: str) -> None:
    """Says nothing."""


def test_an_interrupted_run_continues(room_bag: Path, request_: Request) -> None:
    """However slow the machine: the first run ends after its first step, the next after its own."""
    drives = [BagDrive(room_bag)]
    inspection = check(drives, request_)
    endless = replace(request_, settings=replace(SETTINGS, minutes=1e6))
    lines: list[str] = []

    def interrupt(share: float, text: str) -> None:
        lines.append(text)
        if text.startswith("step"):
            os.kill(os.getpid(), signal.SIGINT)

    first = adapt(drives, inspection, endless, interrupt, quiet_line)
    assert not first.finished
    assert "nothing is lost" in first.sentence
    with pytest.raises(UserError, match="holds an earlier adaptation: continue it with --resume"):
        adapt(drives, inspection, endless, quiet, quiet_line)
    again = replace(endless, resume=True)
    assert not adapt(drives, inspection, again, interrupt, quiet_line).finished
    steps = [line.split()[1] for line in lines if line.startswith("step")]
    assert steps == ["1", "2"]
    # Less time than is already spent: nothing is left but to judge.
    last = replace(again, settings=replace(SETTINGS, minutes=1e-9))
    assert adapt(drives, inspection, last, quiet, quiet_line).finished


def test_a_full_disk_costs_nothing(
    room_bag: Path, request_: Request, monkeypatch: pytest.MonkeyPatch
) -> None:
    drives = [BagDrive(room_bag)]
    inspection = check(drives, request_)
    full = SimpleNamespace(free=10_000_000)
    with monkeypatch.context() as patch:
        patch.setattr(run.shutil, "disk_usage", lambda path: full)
        with pytest.raises(UserError, match=r"has 10 MB of free space, and .* MB are needed"):
            adapt(drives, inspection, request_, quiet, quiet_line)
    state = StateFile(request_.folder / "state.pt")
    state.save({"step": torch.tensor(3)})

    def refuse(content, file) -> None:
        file.write(b"half")
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(torch, "save", refuse)
    with pytest.raises(UserError, match=r"No space left .* --resume; the last saved state is kept"):
        state.save({"step": torch.tensor(4)})
    assert state.load()["step"] == 3
    assert list(request_.folder.glob("*.partial")) == []


def test_a_damaged_state_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="nothing to resume"):
        StateFile(tmp_path / "state.pt").load()
    (tmp_path / "state.pt").write_bytes(b"not a state")
    with pytest.raises(UserError, match=r"is damaged .*: remove it and start again"):
        StateFile(tmp_path / "state.pt").load()


def test_unreadable_images_give_way_to_others(tmp_path: Path, checkpoint: Path) -> None:
    def unreadable(self: BagDrive, index: int, name: str):
        if index % 6 == 0:
            raise UserError(f"image {index} cannot be read")
        return original(self, index, name)

    original = BagDrive.recorded_image
    drive = BagDrive(record(tmp_path / "bag", frames=14))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(BagDrive, "recorded_image", unreadable)
        request = Request(tmp_path / "out.safetensors", str(checkpoint), SETTINGS)
        inspection = check([drive], request)
        verdict = next(c for c in inspection.checks if c.name == "images readable")
        assert verdict.grade == "poor"
        assert "3 of 14 images cannot be read and are left out: image 0" in verdict.sentence
        _, info = load_network(checkpoint)
        training = run.TrainingCamera.from_notes(info.notes)
        clips = BagClips([drive], inspection.plans.learn, training, (96, 64))
        assert clips(1).images.shape[1:] == (64, 96, 3)


def test_two_heads_learn_and_the_student_is_taught(tmp_path: Path, checkpoint: Path) -> None:
    drive = BagDrive(record(tmp_path / "bag", frames=10, cameras=2))
    request = Request(tmp_path / "out.safetensors", str(checkpoint), SETTINGS)
    plans = check([drive], request).plans
    _, info = load_network(checkpoint)
    training = run.TrainingCamera.from_notes(info.notes)
    clip = BagClips([drive], plans.learn, training, (96, 64))(0)
    spec = thin_spec("mvbts", (16, 8, 8), (96, 64), student_widths=(16,))
    torch.manual_seed(0)
    network, start = DensityNetwork(spec), DensityNetwork(spec).eval()
    start.load_state_dict(network.state_dict())
    draws = Draws(0, 0, 0, range(2))
    batch = collate([clip, clip], SETTINGS, draws)
    losses = adapt_step(network.eval(), start, batch, SETTINGS, draws)
    assert {"depth", "student_depth", "taught", "student_drift"} <= losses.keys()
    losses["loss"].backward()
    for head in network.heads().values():
        assert float(head.output_bias().grad.abs()) > 0


def test_a_mirrored_clip_shows_the_same_place_from_every_view() -> None:
    """What a ray of known depth meets looks alike in all images, mirrored or not."""
    poses = [rigid(R_BODY_OPTICAL, (x, y, 1.2)) for x, y in ((0.0, 0.0), (0.3, 0.1), (0.0, -0.4))]
    views = [room_view(T) for T in poses]
    clip = Clip(
        np.stack([view.image for view in views]),
        np.stack([view.camera.ndc for view in views]).astype(np.float32),
        np.stack(poses),
        room_depth(poses[0]).astype(np.float16),
        np.ones(views[0].image.shape[:2], bool),
    )
    found: dict[bool, list[float]] = {}
    for seed in range(12):
        batch = collate([clip], replace(SETTINGS, rays=300), Draws(seed, 0, 0, range(1)))
        points = batch.rays * batch.z[..., None]
        projected = project(batch.K_ndc, batch.T_cam_world, points)
        colours = sample_features(batch.images, projected.uv)[0]
        seen = projected.seen[0].all(0)
        assert seen.float().mean() > 0.5
        unlike = (colours[1:] - colours[:1]).abs().mean(-1)[:, seen].mean()
        mirrored = bool(batch.T_world_cam[0, 2, 0, 3] < 0)
        found.setdefault(mirrored, []).append(float(unlike))
        # The patches are those of the mirrored image: none reaches over its border.
        columns = batch.patches[..., 2]
        assert columns.min() >= 0 and columns.max() <= batch.images.shape[-1] - 8
    assert found.keys() == {True, False}
    assert max(found[True] + found[False]) < 0.05


def test_worlds_are_rehearsed_and_counted(room_bag: Path, request_: Request) -> None:
    drives = [BagDrive(room_bag)]
    inspection = check(drives, request_)
    lines: list[str] = []

    def interrupt(share: float, text: str) -> None:
        lines.append(text)
        if text.startswith("step"):
            os.kill(os.getpid(), signal.SIGINT)

    endless = replace(request_, settings=replace(SETTINGS, minutes=1e6))
    adapt(drives, inspection, endless, interrupt, quiet_line)
    assert any("worlds " in line for line in lines)
    progress = StateFile(request_.folder / "state.pt").load()["progress"]
    assert progress["worlds"] == SETTINGS.worlds
    other = replace(
        endless, out=request_.out.with_name("without.safetensors"),
        settings=replace(endless.settings, worlds=0),
    )  # fmt: skip
    lines.clear()
    adapt(drives, check(drives, other), other, interrupt, quiet_line)
    assert not any("worlds " in line for line in lines)


def test_rehearsed_worlds_are_none_that_anything_else_shows() -> None:
    seeds: list[int] = []
    make = rehearsal.KnownWorlds(96, 64)
    make._make = seeds.append
    for seed in (0, 99_999_999, 100_000_000, 7 * 1_000_003):
        make(seed)
    assert min(seeds) >= 1_000_000_000
    # Where worlds for evaluation begin.
    assert max(seeds) < 2_000_000_000


def test_what_is_rehearsed_is_seen_by_the_camera_that_the_network_knows() -> None:
    camera = TrainingCamera.looking(81, 0.38, 0.2, (96, 64))
    assert rehearsal.KnownWorlds(96, 64, camera=TrainingCamera())(5).street
    place = rehearsal.KnownWorlds(96, 64, 0.5, camera)(5)
    assert not place.street
    np.testing.assert_allclose(place.K_ndc[0], camera.camera(96, 64).ndc, atol=1e-6)


def test_the_truth_has_the_least_photometric_error() -> None:
    views = [room_view(rigid(R_BODY_OPTICAL, (x, 0, 1.2))) for x in (0.0, 0.4, -0.4)]
    truth = room_depth(views[0].T_world_cam)
    errors = [
        float(np.nanmean(photometric_error(views[0], (f * truth).astype(np.float32), views[1:])))
        for f in (1.0, 1.25, 0.8)
    ]
    assert errors[0] < 0.6 * min(errors[1:])


def test_check_only_from_the_command_line(room_bag: Path, tmp_path: Path) -> None:
    out = tmp_path / "mine.safetensors"
    result = RUNNER.invoke(APP, [str(room_bag), "--out", str(out), "--check-only"])
    assert result.exit_code == 0, result.output
    assert "fit to learn from" in result.output
    assert "Fit to learn from." in (tmp_path / "mine.adapt" / "report.md").read_text()
    still = record(tmp_path / "still", step=0.0, frames=6)
    result = RUNNER.invoke(APP, [str(still), "--out", str(out)])
    assert isinstance(result.exception, UserError)
    assert "not fit to learn from: " in str(result.exception)
    assert "the camera hardly moves" in str(result.exception)
    result = RUNNER.invoke(APP, [str(room_bag), "--out", str(out), "--rectified", "perhaps"])
    assert "--rectified must be auto, true or false, got 'perhaps'" in str(result.exception)
    result = RUNNER.invoke(APP, [str(tmp_path / "nowhere"), "--out", str(out)])
    assert isinstance(result.exception, UserError)


def test_help_has_an_example() -> None:
    result = RUNNER.invoke(APP, ["--help"])
    assert result.exit_code == 0
    assert "kdbts adapt my_robot_bag" in result.output
