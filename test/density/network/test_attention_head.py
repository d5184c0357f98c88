"""The head with attention: a set of views, of which only those that see the point speak."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from kdbts_ros.density.network.heads import AttentionHead

INPUTS, POINTS = 12, 7


@pytest.fixture(scope="module")
def head() -> AttentionHead:
    torch.manual_seed(0)
    return AttentionHead(INPUTS, 16, 8, 8)


def density(head: AttentionHead, vectors: torch.Tensor, seen: torch.Tensor) -> torch.Tensor:
    with torch.no_grad():
        return head.fuse(head.first_layers()(vectors), seen)


def drawn(views: int, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    vectors = torch.randn(2, views, POINTS, INPUTS, generator=generator)
    seen = torch.rand(2, views, POINTS, generator=generator) < 0.6
    seen[:, 0] = True
    return vectors, seen


@settings(max_examples=25, deadline=None)
@given(views=st.integers(2, 6), seed=st.integers(0, 1000))
def test_the_order_of_the_other_views_does_not_matter(
    head: AttentionHead, views: int, seed: int
) -> None:
    vectors, seen = drawn(views, seed)
    generator = torch.Generator().manual_seed(seed)
    order = torch.cat(
        [torch.zeros(1, dtype=int), 1 + torch.randperm(views - 1, generator=generator)]
    )
    expected = density(head, vectors, seen)
    torch.testing.assert_close(density(head, vectors[:, order], seen[:, order]), expected)


@settings(max_examples=25, deadline=None)
@given(views=st.integers(2, 6), seed=st.integers(0, 1000))
def test_views_that_do_not_see_a_point_have_no_influence(
    head: AttentionHead, views: int, seed: int
) -> None:
    vectors, seen = drawn(views, seed)
    expected = density(head, vectors, seen)
    changed = torch.where(seen.unsqueeze(-1), vectors, torch.full_like(vectors, 1e3))
    torch.testing.assert_close(density(head, changed, seen), expected)
    # Nor does it matter whether such a view is there at all.
    alone = seen.clone()
    alone[:, 1:] = False
    torch.testing.assert_close(
        density(head, vectors, alone), density(head, vectors[:, :1], seen[:, :1])
    )


def test_views_that_see_a_point_do_have_influence(head: AttentionHead) -> None:
    vectors, _ = drawn(3, 0)
    seen = torch.ones(2, 3, POINTS, dtype=torch.bool)
    changed = vectors.clone()
    changed[:, 2] += 1
    assert not torch.isclose(density(head, changed, seen), density(head, vectors, seen)).any()


def test_points_no_view_sees_stay_finite_and_teach_nothing_of_views(head: AttentionHead) -> None:
    vectors, _ = drawn(3, 1)
    vectors.requires_grad_(True)
    pre_density = head.fuse(head.first_layers()(vectors), torch.zeros(2, 3, POINTS, dtype=bool))
    assert pre_density.isfinite().all()
    (gradient,) = torch.autograd.grad(pre_density.sum(), vectors)
    assert (gradient == 0).all()


def test_it_learns_to_believe_the_view_that_knows() -> None:
    """Two views, one of them marked as knowing: no average of both can answer."""
    generator = torch.Generator().manual_seed(3)
    torch.manual_seed(3)
    head = AttentionHead(2, 16, 8, 8)
    optimiser = torch.optim.Adam(head.parameters(), 2e-2)
    for _ in range(100):
        values = torch.randint(0, 2, (1, 2, 64, 1), generator=generator).float()
        first = torch.rand(1, 1, 64, 1, generator=generator) < 0.5
        knows = torch.cat([first, ~first], dim=1)
        truth = torch.where(first[:, 0, :, 0], values[:, 0, :, 0], values[:, 1, :, 0])
        vectors = torch.cat([values, knows.float()], dim=-1)
        logits = head.fuse(head.first_layers()(vectors), torch.ones(1, 2, 64, dtype=bool))
        loss = torch.nn.functional.binary_cross_entropy_with_logits(logits, truth)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    assert loss < 0.1
