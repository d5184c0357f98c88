"""What is told beside a map agrees with it, is asked of its own frame, and disturbs no other."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from kdbts_ros.density.checkpoints.checkpoint import save_network
from kdbts_ros.density.frame_result import FrameResult
from kdbts_ros.density.geometry.camera import inverse, transform
from kdbts_ros.density.maps.grid import OCCUPIED, MapArea
from kdbts_ros.density.pipeline import Pipeline, PipelineSettings
from kdbts_ros.density.settings import FrameStamp, Wanted
from kdbts_ros.density.views.keyframes import BufferRules
from kdbts_ros.density.whole_frame.beside import Beside
from kdbts_ros.density.whole_frame.frame import Frame, QueriedFrame, WholeFrame
from kdbts_ros.density.whole_frame.single_view import SingleViewMaps
from test.density.networks import base_pose, tiny_network, tiny_scene, view, with_numbers
from test.density.whole_frame.test_single_view_maps import BAND, BENT, Graphs, map_of, taken

SECOND = 1_000_000_000
MAP_ONLY = Wanted(depth=False, percent=False)


@pytest.fixture(scope="module")
def pipeline(tmp_path_factory: pytest.TempPathFactory) -> Pipeline:
    path = tmp_path_factory.mktemp("weights") / "mvbts.safetensors"
    save_network(path, tiny_network("mvbts"), {"licence": "none"})
    return made(path)


def made(path: Path) -> Pipeline:
    settings = PipelineSettings(
        str(path),
        device="cpu",
        precision="float32",
        range_m=6.0,
        resolution=0.5,
        mode="mvbts",
        ground_anchor="off",
        # So that some columns are occupied and others are not.
        occupied_threshold=0.9,
        views=BufferRules(min_overlap=0.0),
    )
    return Pipeline(settings)


def drive(pipeline: Pipeline, count: int) -> FrameResult:
    """The last of so many frames, two metres apart."""
    pipeline.forget()
    results = [
        pipeline.process(
            view(i, x=2.0 * i),
            base_pose(2.0 * i),
            MAP_ONLY,
            FrameStamp("front", (100 + i) * SECOND),
        )
        for i in range(count)
    ]
    return results[-1]


def xyz(points: np.ndarray) -> np.ndarray:
    return np.stack([points["x"], points["y"], points["z"]], -1).astype(np.float64)


@pytest.mark.parametrize("views", [1, 3])
def test_points_stand_in_occupied_columns_and_in_each_of_them(
    pipeline: Pipeline, views: int
) -> None:
    result = drive(pipeline, views)
    assert result.views.used == views
    points = result.beside.occupied_cells()
    fixed = transform(base_pose(2.0 * (views - 1)), xyz(points))
    window = result.window
    column = np.floor((fixed[:, 0] - window.x0) / window.resolution).astype(int)
    row = np.floor((fixed[:, 1] - window.y0) / window.resolution).astype(int)
    told = np.zeros(result.trinary.shape, bool)
    told[row, column] = True
    occupied = result.trinary == OCCUPIED
    assert occupied.any() and not occupied.all()
    np.testing.assert_array_equal(told, occupied)
    assert fixed[:, 2].min() > 0.3 and fixed[:, 2].max() < 2.0
    assert ((points["probability"] > 0) & (points["probability"] <= 1)).all()


def test_points_are_cells_of_the_volume(pipeline: Pipeline) -> None:
    result = drive(pipeline, 2)
    points, volume = result.beside.occupied_cells(), result.beside.volume()
    T_lattice_base = inverse(volume.T_fixed_lattice) @ base_pose(2.0)
    sizes = [volume.lattice.resolution] * 2 + [volume.lattice.height_step]
    i, j, k = np.floor(transform(T_lattice_base, xyz(points)) / sizes).astype(int).T
    np.testing.assert_allclose(volume.probability[k, j, i], points["probability"], atol=1e-6)
    np.testing.assert_array_equal(volume.state[k, j, i] == 1, points["observed"] == 1)


def test_the_surface_is_the_depth_image(pipeline: Pipeline) -> None:
    pipeline.forget()
    taken, stamp = view(0), FrameStamp("front", SECOND)
    result = pipeline.process(taken, base_pose(), Wanted(True, False), stamp)
    points = result.beside.surface(taken.T_world_cam)
    assert result.depth is not None and result.depth_camera is not None
    assert len(points) > 20
    uv, z = result.depth_camera.project(xyz(points))
    column, row = np.floor(uv).astype(int).T
    np.testing.assert_allclose(z, result.depth[row, column], rtol=1e-5)


def test_nothing_is_computed_before_it_is_asked_for(
    pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    def noting(owner: Any, name: str) -> None:
        real = getattr(owner, name)
        monkeypatch.setattr(owner, name, lambda *a, **k: asked.append(name) or real(*a, **k))

    from kdbts_ros.density.whole_frame import beside

    for name in ("cells_of", "volume_around", "surface_points", "frusta"):
        noting(beside, name)
    noting(pipeline.scene, "render")
    result = drive(pipeline, 2)
    assert asked == []
    result.beside.occupied_cells()
    assert asked == ["cells_of"]
    assert len(result.beside.frusta()) == 2
    assert asked == ["cells_of", "frusta"]


def test_what_is_asked_beside_a_map_changes_none(pipeline: Pipeline) -> None:
    expected = drive(pipeline, 3)
    pipeline.forget()
    for i in range(3):
        stamp = FrameStamp("front", (100 + i) * SECOND)
        result = pipeline.process(view(i, x=2.0 * i), base_pose(2.0 * i), MAP_ONLY, stamp)
        beside = result.beside
        beside.surface(np.eye(4))
        picture = beside.novel_view(4.0, 3.0)
        beside.volume()
        beside.occupied_cells()
        assert [f.newest for f in beside.frusta()] == [True] + [False] * i
        assert picture.shape == (120, 240, 3) and picture.dtype == np.uint8
    np.testing.assert_array_equal(result.trinary, expected.trinary)
    assert result.views.used == expected.views.used == 3


def test_a_frame_that_nothing_is_remembered_of_is_told_of_alone(pipeline: Pipeline) -> None:
    drive(pipeline, 3)
    alone = pipeline.process(view(5), base_pose(), MAP_ONLY)
    assert len(alone.beside.frusta()) == 1
    np.testing.assert_array_equal(alone.beside.frusta()[0].edges[0], view(5).T_world_cam[:3, 3])


def test_a_frame_from_a_gpu_tells_what_one_of_queries_tells() -> None:
    scene = with_numbers(tiny_scene("bts"), "floats")
    engine, posed = SingleViewMaps(scene, Graphs(scene)), taken(BENT, "on")
    finished = map_of(engine, posed)
    assert finished is not None and finished.trinary is not None
    area = MapArea(base_pose(), finished.occupancy.window, BAND)

    def beside(frame: Frame) -> Beside:
        return Beside(scene, frame, (), area, base_pose(), finished.trinary, 2)

    # Another frame was asked since.
    scene.set_views([taken(BENT, "on", 1)])
    one_go = beside(WholeFrame(scene, engine, posed, finished))
    surface, told = one_go.surface(posed.T_world_cam), one_go.volume()
    image = engine.depth(posed, 2)
    assert image is not None and len(surface) > 20
    uv, z = posed.camera.resized(64, 32).project(xyz(surface))
    column, row = np.floor(uv).astype(int).T
    np.testing.assert_allclose(z, image.valid[row, column], rtol=1e-4)
    queried = beside(QueriedFrame(scene, scene.encode(posed))).volume()
    np.testing.assert_allclose(told.probability, queried.probability, atol=1e-3)
    assert (told.state != queried.state).mean() < 0.01
