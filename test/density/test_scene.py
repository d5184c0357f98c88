"""The facade: fast equals plain, unseen stays unknown, far-away worlds lose nothing."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from kdbts_ros.density.engines.plain_torch import TorchQueries
from kdbts_ros.density.geometry.camera import View, inverse, transform
from kdbts_ros.density.geometry.lattice import Lattice
from kdbts_ros.density.network.volume_rendering import visibility_rays
from kdbts_ros.errors import UserError
from test.density.networks import (
    against_torch,
    camera,
    forward_pose,
    tiny_scene,
    view,
)

LATTICE = Lattice.from_bounds((2.0, 20.0), (-8.0, 8.0), (0.0, 2.0), 0.5)
HEADS = ["bts", "kdbts", "mvbts", "simple_multiview"]


def plain_density(scene, points):
    """`DensityNetwork.density` on the scene's views, no folding, no kernels."""
    images = np.stack([v.image for v in scene.views])
    with torch.inference_mode():
        features = scene.network.encode(torch.from_numpy(images).permute(0, 3, 1, 2).float() / 255)
        poses = np.stack([inverse(v.T_world_cam) for v in scene.views])
        K = np.stack([v.camera.ndc for v in scene.views])
        sigma, seen = scene.network.density(
            features[None],
            torch.from_numpy(K).float()[None],
            torch.from_numpy(poses).float()[None],
            torch.from_numpy(points).float()[None],
        )
    return sigma[0].numpy(), seen[0].any(0).numpy()


@pytest.mark.parametrize("head", HEADS)
def test_folded_densities_equal_plain_ones(head):
    scene = tiny_scene(head)
    scene.set_views([view(0), view(1, x=1.0, y=0.4, yaw=0.1)])
    points = LATTICE.centres().reshape(-1, 3).astype(np.float64)
    sigma, seen = scene.density(points)
    expected, expected_seen = plain_density(scene, points)
    assert (seen == expected_seen).all()
    assert seen.any()
    assert not seen.all()
    assert expected[seen].std() > 0.05, "the network must say something for this to mean anything"
    np.testing.assert_allclose(sigma[seen], expected[seen], rtol=1e-4, atol=1e-5)


def test_what_no_view_sees_is_unknown():
    scene = tiny_scene()
    scene.set_views([view()])
    sigma, seen = scene.density([[-5.0, 0.0, 1.0], [5.0, 0.0, 1.6], [5.0, 40.0, 1.6]])
    assert seen.tolist() == [False, True, False]
    assert np.isnan(sigma[[0, 2]]).all()
    volume = scene.occupancy(LATTICE)
    unseen = np.isnan(volume.probability)
    assert unseen.any()
    assert not volume.observed[unseen].any()
    known = volume.probability[~unseen]
    assert ((known >= 0) & (known <= 1)).all()


def test_a_world_far_from_its_origin_gives_the_same_densities():
    near, far = tiny_scene(), tiny_scene()
    points = LATTICE.centres().reshape(-1, 3).astype(np.float64)
    shift = np.array([40_000.0, -70_000.0, 0.0])
    near.set_views([view()])
    far.set_views([view(x=shift[0], y=shift[1])])
    there, seen_there = far.density(points + shift)
    here, seen_here = near.density(points)
    assert (seen_here == seen_there).all()
    np.testing.assert_allclose(there[seen_here], here[seen_here], rtol=1e-3, atol=1e-4)


@against_torch("cpu/rays")
@pytest.mark.parametrize("head", HEADS)
def test_compiled_depth_equals_the_torch_formulation(head):
    scene = tiny_scene(head)
    scene.set_views([view(0), view(1, x=0.5)])
    depth = scene.depth_map(stride=4)
    plain = TorchQueries(
        scene.field.heads[0], scene.views, [v.feature_maps[0] for v in scene.views]
    )
    t = scene.depth_samples(scene.views[0].scale)
    expected = plain.depths(0, t, depth.depth.shape, 0.0)
    np.testing.assert_allclose(depth.depth, expected.expected, rtol=2e-3)
    np.testing.assert_allclose(depth.opacity, expected.opacity, atol=1e-4)
    np.testing.assert_allclose(depth.surface, expected.surface, rtol=1e-3)
    for thickness in (0.2, 1.5):
        found = scene.queries.depths(0, t, depth.depth.shape, 0.0, thickness).surface
        told = plain.depths(0, t, depth.depth.shape, 0.0, thickness).surface
        np.testing.assert_allclose(found, told, rtol=1e-3)
        assert (found != expected.surface).mean() > 0.9
    assert depth.depth.std() > 0.1
    assert np.isnan(depth.valid(min_opacity=1.1)).all()


def test_observed_ends_at_the_surface():
    scene = tiny_scene()
    scene.set_views([view()])
    depth = scene.depth_map(stride=2)
    rays = depth.camera.rays().reshape(-1, 3)
    middle = depth.surface.reshape(-1, 1)
    before, behind = (
        scene.observed(transform(scene.views[0].T_world_cam, rays * middle * factor))
        for factor in (0.9, 1.1)
    )
    assert before.all()
    assert not behind.any()


def test_rendering_the_encoded_view_gives_its_image_back():
    scene = tiny_scene()
    scene.set_views([view()])
    rgb, weight = scene.render(camera(), forward_pose())
    error = np.abs(rgb.astype(int) - scene.views[0].image.astype(int))
    assert weight.min() > 0.99
    assert error.mean() < 1.0


@pytest.mark.parametrize("head", ["bts", "mvbts"])
def test_novel_views_and_depth_work_for_every_kind_of_head(head):
    scene = tiny_scene(head)
    scene.set_views([view(0), view(1, x=0.5)])
    rgb, weight = scene.render(camera(32, 16), forward_pose(x=0.2, yaw=0.1), samples=16)
    assert rgb.shape == (16, 32, 3)
    assert 0 < weight.mean() <= 1.001
    depth = scene.depth_map(stride=8).depth
    assert depth.shape == (8, 16)
    assert ((depth >= 3) & (depth <= 80)).all()


def test_views_encoded_one_by_one_are_used_again_under_other_poses():
    scene = tiny_scene("mvbts")
    views = [view(0), view(1, x=1.0, y=0.4, yaw=0.1)]
    points = LATTICE.centres().reshape(-1, 3).astype(np.float64)
    scene.set_views(views)
    together, _ = scene.density(points)
    first, second = (scene.encode(v) for v in views)
    scene.use([first])
    alone, _ = scene.density(points)
    scene.use([first, second])
    np.testing.assert_array_equal(scene.density(points)[0], together)
    assert (alone != together)[np.isfinite(alone)].any()
    moved = second.reposed(forward_pose(x=1.0, y=0.4, yaw=0.3))
    assert moved.feature_maps is second.feature_maps
    scene.use([first, moved])
    assert (scene.density(points)[0] != together)[np.isfinite(together)].any()


def test_an_encoded_view_knows_its_memory_and_refuses_a_skewed_pose():
    scene = tiny_scene()
    encoded = scene.encode(view())
    assert encoded.nbytes == 64 * 128 * (16 * 4 + 3)
    with pytest.raises(UserError, match="rigid"):
        encoded.reposed(2 * np.eye(4))


def test_queries_before_views_are_refused():
    scene = tiny_scene()
    with pytest.raises(UserError, match="set_views"):
        scene.density([[1.0, 0.0, 0.0]])
    with pytest.raises(UserError, match="at least one"):
        scene.set_views([])


def test_images_of_another_size_are_brought_to_the_network():
    small, large = tiny_scene(), tiny_scene()
    small.set_views([view()])
    image = view().image.repeat(3, 0).repeat(3, 1)
    large.set_views([View(image, camera(384, 192), forward_pose())])
    np.testing.assert_allclose(small.depth_map().depth, large.depth_map().depth, rtol=1e-3)


def test_the_public_names_are_where_the_readme_says():
    from kdbts_ros import density

    for name in density.__all__:
        assert getattr(density, name).__name__ == name
    with pytest.raises(AttributeError, match="no attribute 'Nothing'"):
        _ = density.Nothing
    scene = tiny_scene()
    scene.set_views([view()])
    depth, opacity = scene.depth()
    assert depth.shape == opacity.shape == (64, 128)


def scaled(v: View, scale: float) -> View:
    """The same image of a world `scale` times as small, whose camera stands that much lower."""
    T = v.T_world_cam.copy()
    T[:3, 3] /= scale
    return View(v.image, v.camera, T, scale)


@pytest.mark.parametrize("head", HEADS)
@pytest.mark.parametrize("scale", [0.6, 2.0])
def test_a_world_of_half_the_size_has_twice_the_density_at_half_the_distance(head, scale):
    scene = tiny_scene(head)
    views = [view(0), view(1, x=1.0, y=0.4, yaw=0.1)]
    points = LATTICE.centres().reshape(-1, 3).astype(np.float64)
    scene.set_views(views)
    sigma, seen = scene.density(points)
    depth = scene.depth_map(2)
    scene.set_views([scaled(v, scale) for v in views])
    small_sigma, small_seen = scene.density(points / scale)
    assert (small_seen == seen).all()
    np.testing.assert_allclose(small_sigma[seen], sigma[seen] * scale, rtol=2e-4, atol=1e-5)
    # The far end stays at the same metres, so that only what was stopped before it agrees.
    stopped = depth.opacity > 0.999
    assert stopped.any()
    small = scene.depth_map(2).surface[stopped]
    assert np.abs(np.log(small * scale / depth.surface[stopped])).max() < 0.2


def test_what_an_image_does_not_hold_is_unseen():
    scene = tiny_scene()
    whole = view()
    valid = np.ones((8, 16), bool)
    valid[:, :8] = False
    points = np.array([[8.0, 2.0, 1.6], [8.0, -2.0, 1.6]])
    scene.set_views([View(whole.image, whole.camera, whole.T_world_cam, valid=valid)])
    sigma, seen = scene.density(points)
    assert seen.tolist() == [False, True]
    assert np.isnan(sigma[0])
    assert not scene.observed(points)[0]
    depth = scene.depth_map().valid(0.0)
    assert np.isnan(depth[:, :64]).all()
    assert np.isfinite(depth[:, 64:]).all()


def test_a_view_of_no_scale_is_refused():
    whole = view()
    with pytest.raises(UserError, match="scale of a view"):
        View(whole.image, whole.camera, whole.T_world_cam, scale=0.0)


@pytest.mark.parametrize(
    ("size", "rays"),
    [((320, 96), (32, 160)), ((640, 192), (32, 160)), ((64, 64), (32, 32)), ((96, 32), (16, 48))],
)
def test_a_finer_image_is_not_asked_along_more_rays_where_light_ends(size, rays):
    """Sizes are (width, height), rays rows and columns."""
    assert visibility_rays(*reversed(size)) == rays


def test_light_is_asked_where_it_ends_along_the_rays_there_are():
    scene = tiny_scene("kdbts")
    scene.set_views([view()])
    rays = visibility_rays(scene.spec.image_height, scene.spec.image_width)
    assert [found.shape for found in scene.visibility()] == [rays]
