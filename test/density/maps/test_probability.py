"""What optical depth means as a probability, and how a checkpoint carries it."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kdbts_ros.density.birds_eye_map import map_around
from kdbts_ros.density.checkpoints.checkpoint import CheckpointInfo
from kdbts_ros.density.maps.grid import GridWindow, HeightBand
from kdbts_ros.density.maps.probability import NOTE, Curve, ProbabilityCurves, read_note, write_note
from kdbts_ros.density.scene import SceneCompleter
from kdbts_ros.errors import UserError
from test.density.networks import base_pose, tiny_scene, view

curves = st.builds(Curve, st.floats(1e-3, 1e2), st.floats(0.05, 8.0), st.floats(0.01, 1.0))


def test_without_curves_a_probability_is_the_opacity():
    depth = np.array([0.0, 0.1, 1.0, 30.0, np.nan], np.float32)
    found = ProbabilityCurves().probability(depth, np.array([True, False, True, False, True]))
    np.testing.assert_allclose(found, 1 - np.exp(-depth), rtol=1e-6)


@given(curves, st.lists(st.floats(0, 1e4), min_size=2, max_size=20))
def test_a_curve_rises_from_nothing_to_its_ceiling(curve, depths):
    p = curve.probability(np.sort(np.array(depths, np.float32)))
    assert (np.diff(p) >= 0).all()
    assert p.min() >= 0 and p.max() <= np.float32(curve.ceiling)
    half = curve.probability(np.array([curve.half], np.float32))
    assert half == pytest.approx(curve.ceiling / 2, rel=1e-3)


def test_observed_and_completed_columns_have_a_curve_each():
    calibration = ProbabilityCurves(observed=Curve(1.0, 2.0), completed=Curve(4.0, 2.0))
    p = calibration.probability(np.array([2.0, 2.0]), np.array([True, False]))
    np.testing.assert_allclose(p, [1 / (1 + 0.5**2), 1 / (1 + 2.0**2)], rtol=1e-6)


@given(
    st.none() | curves, st.none() | curves, st.floats(0.01, 0.99), st.none() | st.floats(0.01, 5)
)
def test_calibrations_survive_their_note(observed, completed, occupied_from, surface_from):
    calibrations = {
        "bts": ProbabilityCurves(observed, completed, occupied_from, surface_from),
        "mvbts": ProbabilityCurves(),
    }
    assert read_note(write_note(calibrations)) == calibrations


def test_a_checkpoint_without_the_note_has_no_calibration():
    assert read_note(None) == {}
    assert tiny_scene().curves == ProbabilityCurves()


@pytest.mark.parametrize(
    "entry",
    [
        "3",
        "{}",
        '{"observed": null, "completed": null}',
        '{"observed": 3, "completed": null, "occupied_from": 0.5}',
        '{"observed": null, "completed": null, "occupied_from": 1.5}',
        '{"observed": null, "completed": null, "occupied_from": 0.5, "surface_from": 0}',
        '{"observed": null, "completed": null, "occupied_from": 0.5, "surface_from": 1e9}',
        '{"observed": null, "completed": null, "occupied_from": 0.5, "surface_from": NaN}',
        '{"observed": {"half": 1}, "completed": null, "occupied_from": 0.5}',
        '{"observed": {"half": -1, "steepness": 1}, "completed": null, "occupied_from": 0.5}',
        '{"observed": {"half": "x", "steepness": 1}, "completed": null, "occupied_from": 0.5}',
    ],
)
def test_a_damaged_calibration_is_refused(entry):
    for text in (f'{{"bts": {entry}}}', "{", "[]", "3"):
        with pytest.raises(UserError, match="calibration"):
            read_note(text)


def test_the_map_speaks_through_the_calibration_of_its_checkpoint():
    plain = tiny_scene()
    calibration = ProbabilityCurves(Curve(0.5, 3.0, 0.9), Curve(1.5, 2.0, 0.8))
    info = CheckpointInfo(
        "test", plain.spec, "0" * 64, notes={NOTE: write_note({"bts": calibration})}
    )
    calibrated = SceneCompleter(plain.network, info, plain.device, plain.precision)
    assert calibrated.curves == calibration
    window, band = GridWindow.around(0.0, 0.0, 24.0, 0.5), HeightBand(0.2, 2.0, 0.3)
    maps = []
    for scene in (plain, calibrated):
        scene.set_views([view()])
        maps.append(map_around(scene, base_pose(), window, band))
    depth = -np.log1p(-maps[0].probability.astype(np.float64))
    known = np.isfinite(depth)
    expected = calibration.probability(depth, maps[0].observed)
    np.testing.assert_allclose(maps[1].probability[known], expected[known], atol=1e-4)
    assert np.array_equal(maps[0].observed, maps[1].observed)
