"""What a map head learns from: drawn once, read as it was drawn, gone on with."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from kdbts_ros.datasets.synthetic.truth import column_truth
from kdbts_ros.density.maps.grid import HeightBand
from kdbts_ros.density.network.map_head import MapHeadSpec
from kdbts_ros.density.scene import SceneCompleter
from kdbts_ros.errors import UserError
from kdbts_ros.evaluation.samples import synthetic_samples
from kdbts_ros.learning.map_head import evidence
from kdbts_ros.learning.map_head.evidence import EvidenceFolder, evidence_of

USUAL = HeightBand(0.3, 2.0, 0.25), 0.2
SEED = 77


@pytest.fixture(scope="module")
def scene() -> SceneCompleter:
    return SceneCompleter.load("kdbts", device="cpu")


@pytest.fixture(scope="module")
def spec(scene: SceneCompleter) -> MapHeadSpec:
    return MapHeadSpec(64, 0.4, (0.0, 1.0), 32)


def samples(first: int, count: int):
    return synthetic_samples(count, SEED + first)


def test_the_truth_is_that_of_the_cells_that_are_known(scene, spec):
    sample = next(iter(samples(0, 1)))
    inputs, truth = evidence_of(scene, spec, sample, *USUAL)
    known = inputs.planes[2].numpy() > 0
    assert known.any() and not truth[~known].any()
    # A street's camera looks along x, and stands at its origin but for its mount.
    T_base_cam = np.linalg.inv(sample.T_world_base) @ sample.view.T_world_cam
    x = (np.arange(32) + 0.5) * 0.4 + T_base_cam[0, 3]
    y = (np.arange(32) - 15.5) * 0.4 + T_base_cam[1, 3]
    whole = column_truth(sample.world, x, y, 0.3, 2.0, T_world_grid=sample.T_world_base)
    assert (whole[known] == truth[known]).mean() > 0.98
    assert truth.any()


def test_a_truth_of_some_cells_is_that_of_all_there(scene):
    sample = next(iter(samples(3, 1)))
    x, y = np.arange(0, 20, 0.4), np.arange(-8, 8, 0.4)
    where = np.random.default_rng(0).uniform(size=(len(y), len(x))) < 0.5
    whole = column_truth(sample.world, x, y, 0.3, 2.0)
    part = column_truth(sample.world, x, y, 0.3, 2.0, where=where)
    assert whole.any() and (part == (whole & where)).all()


def test_worlds_are_drawn_once_and_what_is_missing_is_added(scene, spec, tmp_path, monkeypatch):
    monkeypatch.setattr(evidence, "WORLDS_PER_FILE", 2)
    folder, drawn = EvidenceFolder(tmp_path), list[int]()

    def counted(first: int, count: int):
        drawn.extend(range(first, first + count))
        return samples(first, count)

    folder.draw(scene, spec, USUAL, counted, 2, lambda: None)
    before = folder.read(2)[0].planes.copy()
    told: list[int] = []
    folder.draw(scene, spec, USUAL, counted, 4, lambda: told.append(1))
    assert drawn == [0, 1, 2, 3] and len(told) == 4
    found = folder.read(4)
    assert [len(each.truth) for each in found] == [2, 2]
    assert np.array_equal(found[0].planes, before)
    again = EvidenceFolder(tmp_path / "again")
    again.draw(scene, spec, USUAL, samples, 2, lambda: None)
    assert np.array_equal(again.read(2)[0].planes, before), "the same worlds, colours and bands"


def test_a_file_that_is_cut_short_is_told(scene, spec, tmp_path, monkeypatch):
    monkeypatch.setattr(evidence, "WORLDS_PER_FILE", 1)
    folder = EvidenceFolder(tmp_path)
    folder.draw(scene, spec, USUAL, samples, 1, lambda: None)
    path = tmp_path / "000000.planes.npy"
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(UserError, match=r"planes\.npy cannot be read"):
        folder.read(1)


def test_other_colours_and_bands_are_as_many_as_is_said():
    sample = next(iter(samples(0, 1)))
    found = [evidence._otherwise(sample, USUAL[0], k) for k in range(60)]
    bands = np.mean([band is not USUAL[0] for _, band in found])
    colours = np.mean([other is not sample for other, _ in found])
    assert abs(bands - evidence.OTHER_BANDS) < 0.2
    assert abs(colours - evidence.OTHER_COLOURS) < 0.2
    bent = next(other for other, _ in found if other is not sample)
    assert bent.view.image.dtype == np.uint8
    assert bent.view.image.shape == sample.view.image.shape
    assert not torch.equal(*(torch.from_numpy(s.view.image) for s in (bent, sample)))
