"""The losses against the original's own numbers, and what they must do on plain cases."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from kdbts_ros.learning.losses.terms import (
    InvalidPolicy,
    distillation_loss,
    invalid_rays,
    photometric_distance,
    photometric_terms,
    ray_entropy,
    smoothness_map,
)

REPOSITORY = Path(__file__).resolve().parents[3]
SHARED = Path(os.environ.get("KDBTS_SHARED", REPOSITORY.parent / "shared"))
FIXTURE = Path(os.environ.get("KDBTS_PARITY_DIR", SHARED / "parity")) / "loss.npz"
POLICIES: tuple[InvalidPolicy, ...] = ("weight_guided", "strict", "none")


@pytest.fixture(scope="module")
def reference() -> dict[str, Tensor]:
    if not FIXTURE.exists():
        pytest.skip(f"no parity fixture at {FIXTURE}; set KDBTS_PARITY_DIR")
    with np.load(FIXTURE) as data:
        return {key: torch.from_numpy(np.asarray(data[key])) for key in data.files}


def test_parity_photometric_distance(reference: dict[str, Tensor]) -> None:
    ours = photometric_distance(reference["rgb"], reference["gt"])
    torch.testing.assert_close(ours, reference["l1ssim"][..., 0], rtol=1e-5, atol=1e-6)


def test_parity_smoothness(reference: dict[str, Tensor]) -> None:
    ours = smoothness_map(reference["depth"], reference["gt"])
    torch.testing.assert_close(ours, reference["eas"], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("policy", POLICIES)
def test_parity_totals(reference: dict[str, Tensor], policy: InvalidPolicy) -> None:
    terms = photometric_terms(
        *(reference[key] for key in ("rgb", "gt", "depth", "weights", "invalid")), policy
    )
    seen = ~reference["invalid_features"][:, 0]
    distilled = distillation_loss(
        reference["student_logit"][:, 0], reference["teacher_logit"][:, 0], seen
    )
    for weight in ("0.0", "0.01"):
        coarse, _, smoothness, kd, invalid_share = reference[f"parts_{policy}_kd{weight}"].tolist()
        assert terms.photometric.item() == pytest.approx(coarse, rel=1e-6, abs=1e-8)
        assert terms.smoothness.item() == pytest.approx(smoothness, rel=1e-6, abs=1e-8)
        assert terms.invalid_share.item() == pytest.approx(invalid_share, abs=1e-6)
        if float(weight):
            assert distilled.item() == pytest.approx(kd, rel=1e-6)
        total = terms.total + float(weight) * distilled
        expected = reference[f"loss_{policy}_kd{weight}"].item()
        assert total.item() == pytest.approx(expected, rel=1e-6, abs=1e-8)


def test_parity_entropy(reference: dict[str, Tensor]) -> None:
    masked = invalid_rays(reference["invalid"], reference["weights"], "weight_guided")
    expected = reference["entropy"].item()
    assert ray_entropy(reference["alphas"], masked).item() == pytest.approx(expected, rel=1e-6)


def test_equal_images_have_no_distance() -> None:
    truth = torch.rand(1, 2, 8, 8, 3)
    rendered = truth.unsqueeze(-2).expand(1, 2, 8, 8, 2, 3)
    assert photometric_distance(rendered, truth).abs().max() < 1e-5


def test_a_plane_of_constant_inverse_depth_is_smooth() -> None:
    assert smoothness_map(torch.full((1, 1, 8, 8), 7.0), torch.rand(1, 1, 8, 8, 3)).max() == 0


def test_a_ray_one_view_can_judge_is_valid() -> None:
    weights = torch.full((1, 4), 0.25)
    invalid = torch.stack([torch.ones(1, 4), torch.zeros(1, 4)], dim=-1)
    assert not invalid_rays(invalid, weights, "weight_guided").any()
    assert invalid_rays(torch.ones(1, 4, 2), weights, "weight_guided").all()
    assert not invalid_rays(torch.ones(1, 4, 2), weights, "none").any()


def test_distillation_moves_the_student_only() -> None:
    student = torch.zeros(5, requires_grad=True)
    teacher = torch.ones(5, requires_grad=True)
    distillation_loss(student, teacher, torch.tensor([True] * 4 + [False])).backward()
    assert teacher.grad is None and student.grad is not None
    assert student.grad[4] == 0 and (student.grad[:4] < 0).all()


def test_distillation_without_a_seen_point_is_zero() -> None:
    student = torch.zeros(3, requires_grad=True)
    assert distillation_loss(student, torch.ones(3), torch.zeros(3, dtype=torch.bool)) == 0
