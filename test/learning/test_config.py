"""Training files: what is read, and how mistakes are told."""

from __future__ import annotations

from pathlib import Path

import pytest

from kdbts_ros.errors import UserError
from kdbts_ros.learning.config.config_file import load_config, parse_config
from kdbts_ros.learning.config.stages import OptimiserConfig, PhotometricStage, SupervisedStage
from kdbts_ros.learning.run.schedule import learning_rate, stage_share
from kdbts_ros.learning.weights.building import build_network

FILES = sorted((Path(__file__).resolve().parents[2] / "config/training").glob("*.yaml"))
NAMES = {path.stem for path in FILES}
MINIMAL = {"name": "a", "stages": [{"kind": "supervised", "steps": 10}]}


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_shipped_files_are_valid(path: Path) -> None:
    assert load_config(path).name == path.stem


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_shipped_files_fit_the_weights_they_start_from(path: Path) -> None:
    network = load_config(path).network
    if network.start_from is None or network.start_from.startswith("runs/"):
        # From scratch, or from a run that another of these files makes.
        assert network.start_from is None or Path(network.start_from).stem in NAMES
        return
    build_network(network)


def write(folder: Path, text: str) -> Path:
    path = folder / "config.yaml"
    path.write_text(text)
    return path


def test_a_misspelt_key_of_a_distill_stage_is_told_like_any_other() -> None:
    stage = {"kind": "distill", "steps": 1, "teachr": "mvbts"}
    with pytest.raises(UserError, match=r"unknown key 'stages.0.teachr', did you mean 'teacher'"):
        parse_config({"name": "a", "network": {"head": "kdbts"}, "stages": [stage]})


def test_overrides_reach_into_lists_and_new_sections(tmp_path: Path) -> None:
    path = write(tmp_path, "name: a\nstages:\n  - {kind: supervised, minutes: 5}\n")
    config = load_config(
        path, ["stages.0.batch=2", "network.layers=50", "stages.0.pool.reuse=7", "name=b"]
    )
    assert config.stages[0].batch == 2
    assert config.stages[0].pool.reuse == 7
    assert config.network.layers == 50
    assert config.folder == Path("runs/b")


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("stages.0.bacth=2", "stages.0.bacth.*'batch'"),
        ("netwrok.layers=18", "netwrok.*'network'"),
        ("watch.kiti_root=x", "watch.kiti_root.*'kitti_root'"),
        ("network.layers=34", "network.layers"),
        ("network.image_width=100", "multiple of 32"),
        ("stages.0.minutes=-1", "stages.0.minutes"),
        ("stages.3.batch=2", "no such place"),
        ("seed", "key=value"),
        ("seed=[", "not a YAML value"),
    ],
)
def test_a_wrong_override_is_one_sentence(tmp_path: Path, override: str, message: str) -> None:
    path = write(tmp_path, "name: a\nstages:\n  - {kind: supervised, minutes: 5}\n")
    with pytest.raises(UserError, match=message) as caught:
        load_config(path, [override])
    assert "\n" not in str(caught.value)


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="cannot be read"):
        load_config(tmp_path / "none.yaml")
    with pytest.raises(UserError, match="not valid YAML"):
        load_config(write(tmp_path, "a: ["))
    with pytest.raises(UserError, match="keys and values"):
        load_config(write(tmp_path, "just text"))


def test_a_stage_must_end_and_know_its_data() -> None:
    with pytest.raises(UserError, match="'minutes' or 'steps'"):
        parse_config({"name": "a", "stages": [{"kind": "supervised"}]})
    stage = {"kind": "photometric", "steps": 1, "source": "kitti-raw"}
    with pytest.raises(UserError, match="'root' and 'drives'"):
        parse_config({"name": "a", "stages": [stage]})


def test_images_that_are_compared_with_each_other_lie_in_one_light() -> None:
    for kind in ("photometric", "distill"):
        stage = {"kind": kind, "steps": 1, "teacher": "mvbts", "jitter": {"shade": 0.5}}
        if kind == "photometric":
            del stage["teacher"]
        with pytest.raises(UserError, match="would be taken for geometry"):
            parse_config({"name": "a", "stages": [stage]})


def test_kinds_of_stages() -> None:
    stages = [*MINIMAL["stages"], {"kind": "photometric", "minutes": 1}]
    first, second = parse_config({"name": "a", "stages": stages}).stages
    assert isinstance(first, SupervisedStage) and isinstance(second, PhotometricStage)


def test_the_nearer_limit_ends_a_stage() -> None:
    stage = SupervisedStage(kind="supervised", steps=100, minutes=1)
    assert stage_share(stage, 50, 6) == 0.5
    assert stage_share(stage, 50, 45) == 0.75
    assert stage_share(stage, 1000, 0) == 1


def test_rate_warms_up_and_decays() -> None:
    optimiser = OptimiserConfig(rate=1e-3, final_rate=1e-5, warm_up_steps=9)
    assert learning_rate(optimiser, 0, 0) == pytest.approx(1e-4)
    assert learning_rate(optimiser, 9, 0) == pytest.approx(1e-3)
    assert learning_rate(optimiser, 50, 1) == pytest.approx(1e-5)


def test_steps_of_the_rate_do_not_depend_on_the_length_of_the_stage() -> None:
    optimiser = OptimiserConfig(
        rate=1e-4, final_rate=2e-6, warm_up_steps=0, decay="step", decay_steps=100
    )
    rates = [learning_rate(optimiser, step, share=0.9) for step in (0, 99, 100, 250)]
    assert rates == pytest.approx([1e-4, 1e-4, 1e-5, 2e-6])
