"""Our networks against outputs of the original code, case by case.

Limits are those of the fixtures' README. Each test prints its worst error (see with `-rP`).
"""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path

import numpy as np
import pytest
import torch

from kdbts_ros.density.checkpoints.checkpoint import load_network
from kdbts_ros.density.parity.reference_profile import KITTI_360_PITCH, birds_eye_profile
from kdbts_ros.density.parity.reference_rendering import ReferenceScene, corner_grid
from test.shared_data import PARITY, PARITY_SEED, needs_parity

pytestmark = [needs_parity, pytest.mark.timeout(600)]

CASES = {
    "bts_single": ("manifest_bts_r50", "bts"),
    "kdbts_single": ("manifest_mvbts_kdbts_r50", "kdbts"),
    "kdbts_singlehead_3views": ("manifest_mvbts_kdbts_r50", "kdbts"),
    "mvbts_1view": ("manifest_mvbts_kdbts_r50", "mvbts"),
    "mvbts_2view": ("manifest_mvbts_kdbts_r50", "mvbts"),
    "mvbts_4view": ("manifest_mvbts_kdbts_r50", "mvbts"),
    "simplemv_3view": ("manifest_simplemv_r50", "simple_multiview"),
}
FEATURE_ATOL = 1e-4
SIGMA_RTOL, SIGMA_ATOL = 2e-4, 1e-4
DEPTH_RTOL = 2e-3
RGB_ATOL = 1e-3
PROFILE_SHARE = 1e-3
# The full-size rendering of the single-view case is compared at every fourth pixel: a plain
# rendering of all of them takes a minute.
MAX_RENDERED_PIXELS = 4000


@pytest.fixture(scope="module")
def inputs():
    with np.load(PARITY / "inputs.npz") as file:
        return {key: torch.from_numpy(file[key]) for key in file}


@pytest.fixture(scope="module")
def checkpoints(tmp_path_factory):
    """Original-format checkpoints made by the fixtures' own rule, one per manifest."""
    spec = importlib.util.spec_from_file_location("weights_rule", PARITY / "weights_rule.py")
    rule = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(rule)
    folder = tmp_path_factory.mktemp("parity")
    paths: dict[str, Path] = {}
    for manifest in sorted({m for m, _ in CASES.values()}):
        content = json.loads((PARITY / f"{manifest}.json").read_text())
        state = rule.build_state_dict(
            content["keys"], PARITY_SEED, content["block"], content["head_bias"]
        )
        paths[manifest] = folder / f"{manifest}.pt"
        torch.save({"model": state}, paths[manifest])
    return paths


class Case:
    """One fixture file with our network encoded on its views."""

    def __init__(self, name, inputs, checkpoints):
        manifest, head = CASES[name]
        self.name = name
        with np.load(PARITY / f"{name}.npz") as file:
            self.expected = {key: file[key] for key in file}
        self.network, _ = load_network(checkpoints[manifest], head)
        self.K = inputs["K"].float()
        poses = torch.linalg.inv(inputs["poses_c2w_rel"].float())
        images = inputs["images_u8"].permute(0, 3, 1, 2).float() / 255
        encoded, rendered = self.expected["ids_encoder"], self.expected["ids_render"]
        self.xyz = inputs["xyz"].float()
        self.T_encoded = poses[encoded]
        self.features = self.network.encode(images[encoded])
        self.scene = ReferenceScene(
            self.network, self.features, self.K, self.T_encoded, images[rendered], poses[rendered]
        )

    def comparable(self) -> np.ndarray:
        """Points where the original itself is reproducible: in or near view 0's frustum, and for
        every other view neither behind it nor far out of it (fixtures' README)."""
        good = torch.ones(len(self.xyz), dtype=torch.bool)
        for index, T in enumerate(self.T_encoded):
            xyz = self.xyz @ T[:3, :3].T + T[:3, 3]
            q = xyz @ self.K.T
            farthest = (q[:, :2] / q[:, 2:].clamp_min(1e-3)).abs().amax(1)
            good &= (xyz[:, 2] > 0.2) & (farthest < (3 if index == 0 else 50))
        return good.numpy()


@pytest.fixture(scope="module", params=CASES)
def case(request, inputs, checkpoints):
    if not (PARITY / f"{request.param}.npz").is_file():
        pytest.skip(f"{request.param} is not part of this fixture set")
    with torch.inference_mode():
        yield Case(request.param, inputs, checkpoints)


def report(case, what, worst):
    print(f"parity {case.name}: {what} {worst:.2e}")


def test_parity_features(case):
    found = case.features[:, :, ::16, ::16].numpy()
    worst = np.abs(found - case.expected["feat0_slice"]).max()
    report(case, "feature error", worst)
    assert worst <= FEATURE_ATOL
    np.testing.assert_allclose(
        case.features.mean((2, 3)).numpy(), case.expected["feat0_mean"], atol=FEATURE_ATOL
    )
    np.testing.assert_allclose(
        case.features.std((2, 3)).numpy(), case.expected["feat0_std"], atol=FEATURE_ATOL
    )


def test_parity_points(case):
    with torch.inference_mode():
        found = case.scene.points(case.xyz)
    good = case.comparable()
    assert good.sum() > 1000
    sigma, expected = found.sigma.numpy()[good], case.expected["sigma"][good]
    report(case, "density error", np.abs(sigma - expected).max())
    np.testing.assert_allclose(sigma, expected, rtol=SIGMA_RTOL, atol=SIGMA_ATOL)
    rgb = found.rgb.flatten(1).numpy()
    assert np.abs(rgb - case.expected["rgb"]).max() <= RGB_ATOL
    assert (found.invalid.numpy() == case.expected["invalid"].astype(bool)).all()


def test_parity_density_behind_the_facade(case):
    """The folded field that the node runs gives the densities of the plain formulation."""
    from kdbts_ros.density.engines.cpu.multi_view import FusedQueries
    from kdbts_ros.density.engines.cpu.single_view import CompiledQueries
    from kdbts_ros.density.engines.encoded_view import EncodedView
    from kdbts_ros.density.engines.folding import FoldedField
    from kdbts_ros.density.geometry.camera import Camera, inverse

    with torch.inference_mode():
        head = FoldedField(case.network).heads[0]
        maps = torch.nn.functional.conv2d(case.features, head.feature_half[:, :, None, None])
        maps = maps.contiguous(memory_format=torch.channels_last)
    camera = Camera.from_ndc(case.K.double().numpy(), 640, 192)
    views = [
        EncodedView((m,), camera, inverse(T.double().numpy()), np.zeros((192, 640, 3), np.uint8))
        for m, T in zip(maps, case.T_encoded, strict=True)
    ]
    fused = head.head.multi_view
    views = views if fused else views[:1]
    queries = (FusedQueries if fused else CompiledQueries)(
        head, views, [v.feature_maps[0] for v in views]
    )
    xyz = case.xyz.double().numpy()
    good = case.comparable() & queries.seen(xyz)
    assert good.sum() > 1000
    np.testing.assert_allclose(
        queries.point_densities(xyz)[good],
        case.expected["sigma"][good],
        rtol=SIGMA_RTOL,
        atol=SIGMA_ATOL,
    )


@pytest.mark.parametrize("kind", ["dist", "z"])
def test_parity_rendering(case, kind):
    step = int(case.expected["render_step"])
    grid = corner_grid(192, 640)[::step, ::step]
    inner = np.zeros(grid.shape[:2], bool)
    thin = max(1, int(np.ceil(np.sqrt(inner.size / MAX_RENDERED_PIXELS))))
    inner[::thin, ::thin] = True
    # The outermost rays lie exactly on the frustum, where rounding decides what counts as seen.
    inner &= (grid.abs() < 1).all(-1).numpy()
    uv = grid[torch.from_numpy(inner)]
    with torch.inference_mode():
        found = case.scene.rays(uv, torch.full((len(uv), 64), 0.5), unit=kind == "dist")
    expected = case.expected[f"render_{kind}_depth"][inner]
    report(case, f"{kind} depth error", np.abs(found.depth.numpy() / expected - 1).max())
    np.testing.assert_allclose(found.depth.numpy(), expected, rtol=DEPTH_RTOL)
    rgb = case.expected[f"render_{kind}_rgb"][inner]
    assert np.abs(found.rgb.flatten(1).numpy() - rgb).max() <= RGB_ATOL


def test_parity_jittered_samples(case):
    pixels = torch.from_numpy(case.expected["strat_pix"]).long()
    uv = corner_grid(192, 640).view(-1, 2)[pixels]
    inner = (uv.abs() < 1).all(-1)
    with torch.inference_mode():
        found = case.scene.rays(
            uv[inner], torch.from_numpy(case.expected["strat_u"]).float()[inner], unit=True
        )
    keep = inner.numpy()
    np.testing.assert_allclose(
        found.depth.numpy(), case.expected["strat_depth"][keep], rtol=DEPTH_RTOL
    )
    rgb = case.expected["strat_rgb"][keep]
    assert np.abs(found.rgb.flatten(1).numpy() - rgb).max() <= RGB_ATOL


@pytest.mark.parametrize(
    ("name", "cells", "pitch"),
    [
        ("profile_k360_64", 64, KITTI_360_PITCH),
        ("profile_noadj_64", 64, 0.0),
        ("profile_k360_256", 256, KITTI_360_PITCH),
    ],
)
def test_parity_profile(case, name, cells, pitch):
    if name not in case.expected:
        pytest.skip(f"{case.name} has no {name}")
    found = birds_eye_profile(case.scene, cells, pitch=pitch)
    differing = (np.abs(found.numpy() - case.expected[name]) > 1e-6).mean()
    report(case, f"{name} share of cells that differ", differing)
    assert differing <= PROFILE_SHARE
