"""Maps of several views that queries finish by themselves: taken when right, refused when not."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from kdbts_ros.density.birds_eye_map import map_together
from kdbts_ros.density.engines.answers import FrameGrids
from kdbts_ros.density.engines.cuda import frame_params
from kdbts_ros.density.engines.cuda.answer import CELL_BYTES, grids_of
from kdbts_ros.density.engines.plain_torch import TorchQueries
from kdbts_ros.density.geometry.affine_grid import AffineGrid
from kdbts_ros.density.maps.grid import GridWindow, HeightBand
from kdbts_ros.density.scene import SceneCompleter
from kdbts_ros.density.whole_frame.several_views import MultiViewMaps
from test.density.networks import base_pose, tiny_scene, view

# Nothing is nearer than depths were learnt.
WINDOW, BAND = GridWindow.around(9.0, 0.0, 10, 0.5), HeightBand()
ASKED = base_pose(), WINDOW, BAND, 0.4, "keep"


class Finishing(TorchQueries):
    """Queries that finish maps: those of the scene, or one of another kind."""

    wrong, error = False, ""

    def finished(self, grid: AffineGrid, visibility: Sequence, params: np.ndarray) -> FrameGrids:
        if self.error:
            raise RuntimeError(self.error)
        assert params[frame_params.MAP][0] > 0 and params[frame_params.THRESHOLD] == np.float32(0.4)
        sums = self.column_sums(grid, visibility)
        tau = sums.density * params[frame_params.THICKNESS]
        known = sums.seen >= params[frame_params.LEAST_SEEN]
        p = np.where(known, -np.expm1(-tau), np.nan)
        p = 1 - p if self.wrong else p
        percent = np.where(known, np.rint(np.nan_to_num(p) * 100), -1).astype(np.int8)
        trinary = np.where(known, np.where(p >= 0.4, 100, 0), -1).astype(np.int8)
        return FrameGrids(p.astype(np.float32), trinary, percent, 2 * sums.visible >= sums.seen)


@pytest.fixture
def scene() -> SceneCompleter:
    made = tiny_scene("mvbts")
    made.set_views([view(0), view(1, x=0.5)])
    made._queries = Finishing(
        made.field.heads[0], made.views, [v.feature_maps[0] for v in made.views]
    )
    return made


def test_a_finished_map_is_taken(scene: SceneCompleter) -> None:
    maps = MultiViewMaps(scene)
    expected = map_together(scene, *ASKED[:3])
    for _ in range(3):
        found = maps.finished(*ASKED)
        assert found is not None and maps.note == ""
        known = np.isfinite(expected.probability)
        assert known.sum() > 30
        np.testing.assert_allclose(found.probability[known], expected.probability[known], atol=1e-5)


def test_queries_that_finish_nothing_are_left_alone(scene: SceneCompleter) -> None:
    scene.set_views([view(0), view(1, x=0.5)])
    maps = MultiViewMaps(scene)
    assert maps.finished(*ASKED) is None and maps.note == ""


@pytest.mark.parametrize(("wrong", "error"), [(True, ""), (False, "out of\nmemory")])
def test_wrong_maps_are_refused(scene: SceneCompleter, wrong: bool, error: str) -> None:
    assert isinstance(scene.queries, Finishing)
    scene.queries.wrong, scene.queries.error = wrong, error
    maps = MultiViewMaps(scene)
    assert maps.finished(*ASKED) is None
    assert maps.note.startswith("maps of several views take longer: the GPU's were refused, ")
    assert not error or maps.note.endswith("RuntimeError: out of memory")
    scene.queries.wrong, scene.queries.error = False, ""
    assert maps.finished(*ASKED) is None


def test_an_answer_is_four_grids_one_after_the_other() -> None:
    answer = np.zeros(6 * CELL_BYTES, np.uint8)
    answer[:24].view(np.float32)[:] = [0.5, np.nan, 0, 1, 0.25, 0.75]
    answer[24:].view(np.int8)[:] = [
        100,
        -1,
        0,
        100,
        0,
        100,
        50,
        -1,
        0,
        99,
        25,
        75,
        1,
        0,
        1,
        0,
        1,
        0,
    ]
    grids = grids_of(answer, (2, 3))
    np.testing.assert_array_equal(grids.probability, [[0.5, np.nan, 0], [1, 0.25, 0.75]])
    np.testing.assert_array_equal(grids.trinary, [[100, -1, 0], [100, 0, 100]])
    np.testing.assert_array_equal(grids.percent, [[50, -1, 0], [99, 25, 75]])
    np.testing.assert_array_equal(grids.observed, [[True, False, True], [False, True, False]])
    answer[:] = 0
    assert grids.trinary[0, 0] == 100 and grids.probability[1, 0] == 1
