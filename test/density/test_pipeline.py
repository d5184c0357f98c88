"""From posed images to maps of one view or several."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from kdbts_ros.density.checkpoints.checkpoint import save_network
from kdbts_ros.density.maps.rolling_map import AccumulationSettings
from kdbts_ros.density.pipeline import Pipeline, PipelineSettings
from kdbts_ros.density.settings import FrameStamp, Wanted
from kdbts_ros.density.views.keyframes import BufferRules
from kdbts_ros.density.views.static_world import ConsistencyRules
from kdbts_ros.errors import UserError
from test.density.networks import base_pose, tiny_network, view

SECOND = 1_000_000_000
RULES = BufferRules(min_overlap=0.0)
MAP_ONLY = Wanted(depth=False, percent=False)


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Random weights of either kind, by head."""
    folder = tmp_path_factory.mktemp("weights")
    made = {head: folder / f"{head}.safetensors" for head in ("kdbts", "mvbts")}
    for head, path in made.items():
        save_network(path, tiny_network(head), {"licence": "none"})
    return {head: str(path) for head, path in made.items()}


def settings(checkpoint: str, mode: str) -> PipelineSettings:
    return PipelineSettings(
        checkpoint,
        device="cpu",
        precision="float32",
        range_m=6.0,
        resolution=0.5,
        mode=mode,  # type: ignore[arg-type]
        views=RULES,
    )


@pytest.fixture(scope="module")
def pipeline(weights: dict[str, str]) -> Pipeline:
    return Pipeline(settings(weights["mvbts"], "mvbts"))


def moment(index: int, camera: str = "front") -> FrameStamp:
    return FrameStamp(camera, (100 + index) * SECOND)


def test_views_of_earlier_moments_change_the_map(pipeline: Pipeline) -> None:
    pipeline.forget()
    results = [
        pipeline.process(view(i, x=2.0 * i), base_pose(2.0 * i), MAP_ONLY, moment(i))
        for i in range(3)
    ]
    assert [r.views.used for r in results] == [1, 2, 3]
    assert [r.views.mode for r in results] == ["kdbts", "mvbts", "mvbts"]
    assert results[-1].views.kept == 3 and results[-1].views.kept_bytes > 0
    alone = pipeline.process(view(2, x=4.0), base_pose(4.0), MAP_ONLY)
    assert alone.views.used == 1
    assert not np.array_equal(
        alone.occupancy.probability, results[-1].occupancy.probability, equal_nan=True
    )
    # What only earlier views saw is known with them.
    known = [np.isfinite(r.occupancy.probability).sum() for r in (alone, results[-1])]
    assert known[1] > known[0]


def test_a_frame_is_encoded_once(pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch) -> None:
    pipeline.forget()
    encoded, encode = [], pipeline.scene.encode
    monkeypatch.setattr(pipeline.scene, "encode", lambda v: encoded.append(v) or encode(v))
    for i in range(2):
        pipeline.process(view(i, x=2.0 * i), base_pose(2.0 * i), MAP_ONLY, moment(i))
    assert len(encoded) == 2


def test_another_camera_adds_its_view_without_a_map(pipeline: Pipeline) -> None:
    pipeline.forget()
    pipeline.remember(view(1, yaw=1.5), moment(0, "left"))
    result = pipeline.process(view(0), base_pose(), MAP_ONLY, moment(0))
    assert result.views.used == 2


def test_forgetting_leaves_the_newest_view_alone(pipeline: Pipeline) -> None:
    pipeline.process(view(0), base_pose(), MAP_ONLY, moment(0))
    pipeline.forget()
    result = pipeline.process(view(1, x=2.0), base_pose(2.0), MAP_ONLY, moment(1))
    assert result.views.used == result.views.kept == 1


def test_only_what_is_wanted_is_computed(pipeline: Pipeline) -> None:
    bare = pipeline.process(view(0), base_pose(), MAP_ONLY)
    assert bare.depth is None and bare.percent is None and bare.preview is None
    full = pipeline.process(view(0), base_pose(), Wanted(preview=True))
    assert full.depth is not None and full.percent is not None and full.preview is not None


def test_new_limits_count_from_the_next_frame(pipeline: Pipeline) -> None:
    pipeline.forget()
    before = pipeline.settings
    for i in range(3):
        pipeline.process(view(i, x=2.0 * i), base_pose(2.0 * i), MAP_ONLY, moment(i))
    pipeline.update(replace(before, views=replace(RULES, max_views=2)))
    result = pipeline.process(view(3, x=6.0), base_pose(6.0), MAP_ONLY, moment(3))
    pipeline.update(before)
    assert result.views.used == 2


@pytest.mark.parametrize(("head", "mode"), [("kdbts", "auto"), ("mvbts", "kdbts")])
def test_modes_of_one_view_keep_nothing(weights: dict[str, str], head: str, mode: str) -> None:
    single = Pipeline(settings(weights[head], mode))
    for i in range(3):
        result = single.process(view(i, x=2.0 * i), base_pose(2.0 * i), MAP_ONLY, moment(i))
    assert (result.views.used, result.views.kept, result.views.mode) == (1, 0, "kdbts")
    assert result.views.note == ("the head 'kdbts' reads one view" if mode == "auto" else "")


def test_weights_of_one_view_cannot_fuse(weights: dict[str, str]) -> None:
    with pytest.raises(UserError, match="mode mvbts needs weights that fuse views"):
        Pipeline(settings(weights["kdbts"], "mvbts"))
    with pytest.raises(UserError, match="mode must be one of kdbts, mvbts, auto"):
        settings(weights["kdbts"], "both")


def test_accumulated_maps_remember_what_left_the_image(weights: dict[str, str]) -> None:
    pipeline = Pipeline(replace(settings(weights["kdbts"], "kdbts"), accumulate=True))
    frames = [(view(i, x=2.0 * i), base_pose(2.0 * i), MAP_ONLY, moment(i)) for i in range(3)]
    results = [pipeline.process(*frame) for frame in frames]
    behind = results[-1].window.centres()[0] < 4.0
    assert np.isfinite(results[-1].occupancy.probability[:, behind]).any()
    alone = pipeline.process(*frames[-1][:3])
    assert not np.isfinite(alone.occupancy.probability[:, behind]).any()
    pipeline.forget()
    anew = pipeline.process(*frames[-1])
    assert np.array_equal(
        np.isfinite(anew.occupancy.probability), np.isfinite(alone.occupancy.probability)
    )
    assert np.allclose(anew.trinary, alone.trinary)
    pipeline.update(replace(pipeline.settings, accumulation=AccumulationSettings(decay_s=0.1)))
    later = pipeline.process(view(0, x=4.0, yaw=3.1), base_pose(4.0, yaw=3.1), MAP_ONLY, moment(6))
    ahead = later.window.centres()[0] > 6.0
    assert not np.isfinite(later.occupancy.probability[:, ahead]).any()


def test_views_that_show_another_world_are_not_fused(weights: dict[str, str]) -> None:
    strict = replace(
        settings(weights["mvbts"], "mvbts"),
        consistency=ConsistencyRules(least_share=1.0, least_points=1, tolerance=0.01, height=-5.0),
    )
    pipeline = Pipeline(strict)
    for i in range(3):
        found = pipeline.process(view(i, x=2.0 * i), base_pose(2.0 * i), MAP_ONLY, moment(i))
    assert found.views.used == 1
    pipeline.update(replace(strict, consistency=ConsistencyRules(least_share=0.0)))
    found = pipeline.process(view(3, x=6.0), base_pose(6.0), MAP_ONLY, moment(3))
    assert found.views.used > 1
