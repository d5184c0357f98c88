"""Volume rendering against closed forms."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from kdbts_ros.density.network.positional_encoding import PositionalCode, map_depth
from kdbts_ros.density.network.volume_rendering import (
    begun,
    composite,
    sample_distances,
    surface_depth,
)


def samples(count=64, jitter=0.5):
    return sample_distances(3.0, 80.0, torch.full((count,), jitter))


def test_samples_are_even_in_inverse_depth_and_end_where_the_paper_says():
    t = samples()
    steps = (1 / t)[:-1] - (1 / t)[1:]
    torch.testing.assert_close(steps, steps[:1].expand_as(steps), rtol=1e-4, atol=0)
    assert t[-1].item() == pytest.approx(66.6, abs=0.05)


def test_empty_space_is_transparent_and_reads_as_the_last_sample_only_when_forced():
    t, sigma = samples(), torch.zeros(64)
    forced = composite(sigma, t, force_last=True)
    assert forced.opacity.item() == 0
    assert forced.depth.item() == pytest.approx(t[-1].item(), rel=1e-5)
    assert composite(sigma, t, force_last=False).depth.item() == 0


@given(st.integers(0, 62))
def test_a_wall_is_found_at_its_sample(index):
    t, sigma = samples(), torch.zeros(64)
    sigma[index:] = 1e6
    rendered = composite(sigma, t, force_last=True)
    assert rendered.depth.item() == pytest.approx(t[index].item(), rel=1e-4)
    assert rendered.opacity.item() == pytest.approx(1.0)
    assert surface_depth(sigma, t).item() == pytest.approx(t[index].item(), rel=1e-6)


@given(st.floats(0.05, 5.0))
def test_the_median_of_fog_is_where_half_its_light_is_gone(density):
    """And not where the sample begins in which that happens."""
    t = torch.linspace(0, 30, 61)
    found = surface_depth(torch.full((61,), density), t).item()
    assert found == pytest.approx(min(np.log(2) / density, 30.5), rel=1e-4)


@given(st.integers(0, 62), st.floats(0.01, 0.99))
def test_a_surface_depth_lies_in_the_sample_that_it_begins_in(index, share):
    t = samples().numpy()
    median = t[index] + np.float32(share) * (t[index + 1] - t[index])
    assert begun(np.array([[median]], np.float32), t) == t[index]
    assert begun(np.array([np.nan, 1e9, t[0]], np.float32), t).tolist() == [t[-1], t[-1], t[0]]


def test_constant_fog_attenuates_exponentially():
    t = torch.linspace(0, 10, 101)
    rendered = composite(torch.full((101,), 0.2), t, force_last=False)
    np.testing.assert_allclose(rendered.transmittance, torch.exp(-0.2 * t), rtol=1e-4)


@given(st.floats(0.0, 50.0), st.floats(0.0, 1.0))
def test_weights_sum_to_one_with_a_forced_end_and_to_opacity_without(density, jitter):
    t = samples(jitter=min(jitter, 0.99))
    sigma = torch.full((64,), density)
    assert composite(sigma, t, True).weights.sum().item() == pytest.approx(1.0, abs=1e-4)
    free = composite(sigma, t, False)
    assert free.weights.sum().item() == pytest.approx(free.opacity.item(), abs=1e-4)


def test_depth_mapping_ends_and_positional_code_layout():
    z = torch.tensor([3.0, 80.0])
    torch.testing.assert_close(map_depth(z, 3.0, 80.0), torch.tensor([1.0, -1.0]))
    code = PositionalCode()(torch.tensor([[0.1, -0.2, 0.7]]))
    assert code.shape == (1, 39)
    torch.testing.assert_close(code[0, 3:6], torch.sin(1.5 * code[0, :3]))
    torch.testing.assert_close(code[0, 6:9], torch.cos(1.5 * code[0, :3]), atol=1e-6, rtol=0)
    torch.testing.assert_close(code[0, 33:36], torch.sin(48.0 * code[0, :3]))
