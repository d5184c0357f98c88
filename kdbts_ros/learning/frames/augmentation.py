"""Colours bent, looks that no world has, and scenes mirrored, so that shapes are learnt, not paint.

A network that learns from drawn worlds takes clean paint and sharp lines for granted: other
cameras' colours, textures on what is smooth, and light that bleeds take them away.
"""

from __future__ import annotations

import math

import cv2
import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from kdbts_ros.learning.config.frames import JitterConfig
from kdbts_ros.learning.frames.draws import Draws

LUMA = (0.299, 0.587, 0.114)
# Of `patches_of_light`: cells of the noise over an image, slopes of an edge, factors.
PATCH_GRID = (4, 8)
EDGES = (3.0, 60.0)
LIGHTS = (0.15, 2.0)
# Of `grain`: cells over the height of an image, from blotches to specks.
OCTAVES = (4, 8, 16, 32)
# Of `bloom`: what is brighter bleeds, over cells of so many pixels, at most so strongly.
BRIGHT, HALO, STRONGEST = 0.7, 8, 2.0
# Qualities of stored images, from the worst that cameras send to hardly visible.
JPEG = (20, 90)


def jitter_colours(images: Tensor, jitter: JitterConfig, draws: Draws) -> Tensor:
    """Bend (B,...,3,H,W) images in [0,1], one draw for all images of a batch element.

    Frames of one scene must keep the same paint, or photometric learning would compare apples
    with pears; noise and blur are the camera's and differ between them.
    """
    B = images.shape[0]
    extra = images.ndim - 1

    def draw(amount: float, width: int = 1) -> Tensor:
        values = (draws.uniform(B, width) * 2 - 1) * amount
        return values.to(images.device).reshape(B, *([1] * (extra - 3)), width, 1, 1)

    x = images
    if jitter.filter:
        x = colour_filter(x, jitter.filter, draws)
    if jitter.grain:
        x = x * grain(x, jitter.grain, draws)
    if jitter.shade:
        x = x * patches_of_light(x, jitter.shade, draws)
    x = x * (1 + draw(jitter.gain)) * (1 + draw(jitter.channel_gain, 3))
    mean = x.mean((-3, -2, -1), keepdim=True)
    x = (x - mean) * (1 + draw(jitter.contrast)) + mean
    luma = torch.tensor(LUMA, device=x.device).reshape(3, 1, 1)
    grey = (x * luma).sum(-3, keepdim=True)
    x = (x - grey) * (1 + draw(jitter.saturation)) + grey
    if jitter.hue:
        x = turn_hue(x, draw(jitter.hue) * 2 * math.pi)
    if jitter.bloom:
        x = bloom(x, jitter.bloom, draws)
    if jitter.vignette:
        x = x * vignette(x, jitter.vignette, draws)
    x = x.clamp(0, 1) ** draw(jitter.gamma).exp()
    if jitter.blur:
        x = torch.where(draw(0.5) + 0.5 < jitter.blur, blur3(x), x)
    if jitter.noise:
        deviation = draw(0.5) + 0.5
        noise = draws.normal(*x.shape).to(x.device)
        x = x + deviation * jitter.noise * noise
    x = x.clamp(0, 1)
    return jpeg(x, jitter.jpeg, draws) if jitter.jpeg else x


def patches_of_light(images: Tensor, chance: float, draws: Draws) -> Tensor:
    """Factors (B,...,1,H,W) on the brightness of (B,...,3,H,W) images, 1 in those spared.

    Cast shadows and glare as no world has them: areas bounded by a level line of smooth noise,
    sharply or softly, each as bright throughout.
    """
    B, *views, _, height, width = images.shape
    shape = (B, *views, 1, 1, 1)
    coarse = draws.normal(B, *views, *PATCH_GRID).to(images.device)
    noise = F.interpolate(
        coarse.reshape(-1, 1, *PATCH_GRID), (height, width), mode="bicubic", align_corners=False
    ).reshape(B, *views, 1, height, width)
    level, sharpness, light, lot = (draws.uniform(*shape).to(images.device) for _ in range(4))
    inside = torch.sigmoid((noise - level) * EDGES[0] * (EDGES[1] / EDGES[0]) ** sharpness)
    factor = LIGHTS[0] * (LIGHTS[1] / LIGHTS[0]) ** light
    return torch.where(lot < chance, 1 + (factor - 1) * inside, torch.ones_like(inside))


def turn_hue(images: Tensor, angle: Tensor) -> Tensor:
    """Rotate colours (...,3,H,W) about the grey axis by `angle` radians (broadcastable)."""
    # Rodrigues' rotation about (1,1,1)/sqrt(3).
    cosine, sine = torch.cos(angle), torch.sin(angle)
    grey = images.mean(-3, keepdim=True)
    across = (images.roll(1, -3) - images.roll(-1, -3)) / math.sqrt(3)
    return images * cosine + across * sine + grey * (1 - cosine)


def blur3(images: Tensor) -> Tensor:
    """A 3x3 binomial blur of (...,3,H,W), border repeated."""
    flat = images.reshape(-1, 1, *images.shape[-2:])
    taps = torch.tensor([0.25, 0.5, 0.25], device=images.device)
    flat = F.pad(flat, (1, 1, 1, 1), mode="replicate")
    flat = F.conv2d(F.conv2d(flat, taps.reshape(1, 1, 1, 3)), taps.reshape(1, 1, 3, 1))
    return flat.reshape(images.shape)


def mirror_intrinsics(K_ndc: Tensor) -> Tensor:
    """The intrinsics (...,3,3) of the image flipped left to right."""
    mirrored = K_ndc.clone()
    mirrored[..., 0, 2] = -mirrored[..., 0, 2]
    return mirrored


def mirror_poses(T: Tensor) -> Tensor:
    """The transforms (...,4,4) between optical frames of images flipped left to right."""
    reflection = torch.diag(torch.tensor([-1.0, 1.0, 1.0, 1.0], device=T.device))
    return reflection @ T @ reflection


def mirror_points(points: Tensor) -> Tensor:
    """Points or directions (...,3) in the optical frame of an image flipped left to right."""
    return points * torch.tensor([-1.0, 1.0, 1.0], device=points.device)


def colour_filter(images: Tensor, chance: float, draws: Draws) -> Tensor:
    """Blend a scene's images with what a random 3x3 filter makes of them.

    The filter mixes colours and neighbours, is the same for all images of a batch element, and
    keeps the mean and spread of each colour (random convolutions, Xu et al., ICLR 2021). A scene
    is spared but by `chance`.
    """
    B = images.shape[0]
    whole = (B, *([1] * (images.ndim - 1)))
    weights = draws.normal(B, 3, 3, 3, 3).to(images).flatten(0, 1)
    share, lot = (draws.uniform(*whole).to(images) for _ in range(2))
    # One group of three channels per scene, one image of all groups per view.
    flat = images.reshape(B, -1, *images.shape[-3:]).transpose(0, 1).flatten(1, 2)
    padded = F.pad(flat, (1, 1, 1, 1), mode="replicate")
    views = F.conv2d(padded, weights, groups=B).reshape(-1, B, 3, *images.shape[-2:])
    filtered = views.transpose(0, 1).reshape(images.shape)
    # Every channel keeps its own, or most scenes would be seen through coloured glass.
    axes = (*range(1, images.ndim - 3), -2, -1)
    mean, spread = images.mean(axes, keepdim=True), images.std(axes, keepdim=True)
    own_mean, own_spread = filtered.mean(axes, keepdim=True), filtered.std(axes, keepdim=True)
    filtered = (filtered - own_mean) / own_spread.clamp_min(1e-6) * spread + mean
    return torch.where(lot < chance, images + share * (filtered - images), images)


def grain(images: Tensor, strength: float, draws: Draws) -> Tensor:
    """Factors (B,...,1,H,W) of texture on everything an image shows.

    Smooth noise of several sizes, a different one for each image, half of which are spared; the
    logarithm of a factor deviates by up to `strength`.
    """
    B, *views, _, height, width = images.shape
    total = torch.zeros((), device=images.device)
    for rows in OCTAVES:
        cells = (rows, max(round(rows * width / height), 1))
        coarse = draws.normal(B, *views, *cells).to(images).reshape(-1, 1, *cells)
        amount = draws.uniform(B, *views).to(images).reshape(-1, 1, 1, 1)
        fine = F.interpolate(coarse, (height, width), mode="bilinear", align_corners=False)
        total = total + amount * fine
    deviation = strength * (2 * draws.uniform(B, *views) - 1).clamp_min(0)
    deviation = deviation.to(images).reshape(-1, 1, 1, 1)
    # Four octaves of uniform shares add up to a variance of 4/3.
    factors = torch.exp(deviation * total * (3 / len(OCTAVES)) ** 0.5)
    return factors.reshape(B, *views, 1, height, width)


def bloom(images: Tensor, chance: float, draws: Draws) -> Tensor:
    """Let what is bright spill over its edges, as sky and sunlit walls do in a lens.

    An image is spared but by `chance`.
    """
    flat = images.reshape(-1, *images.shape[-3:])
    height, width = flat.shape[-2:]
    bright = F.avg_pool2d((flat - BRIGHT).clamp_min(0), HALO, ceil_mode=True)
    spread = F.avg_pool2d(bright, 3, 1, 1, count_include_pad=False)
    halo = F.interpolate(spread, (height, width), mode="bilinear", align_corners=False)
    each = (*images.shape[:-3], 1, 1, 1)
    amount, lot = (draws.uniform(*each).to(images) for _ in range(2))
    spill = STRONGEST * amount * halo.reshape(images.shape)
    return torch.where(lot < chance, images + spill, images)


def vignette(images: Tensor, most: float, draws: Draws) -> Tensor:
    """Factors (B,...,1,H,W): light falls off with the square of the distance from the middle.

    The corners lack up to `most` of it; one lens for all images of a batch element.
    """
    B = images.shape[0]
    height, width = images.shape[-2:]
    v = (torch.arange(height, device=images.device) + 0.5) / height * 2 - 1
    u = (torch.arange(width, device=images.device) + 0.5) / width * 2 - 1
    # A wide image is cut out of a round one: its corners lie on the circle.
    share = (height / width) ** 2
    square = (u**2 + share * v[:, None] ** 2) / (1 + share)
    lacking = draws.uniform(B, *([1] * (images.ndim - 1))).to(images) * most
    return 1 - lacking * square


def jpeg(images: Tensor, chance: float, draws: Draws) -> Tensor:
    """What is left of images (B,...,3,H,W) stored as JPEG; an image is spared but by `chance`."""
    each = images.shape[:-3]
    lots, qualities = (draws.uniform(*each).flatten() for _ in range(2))
    flat = images.reshape(-1, *images.shape[-3:]).clone()
    for k in torch.nonzero(lots < chance).flatten().tolist():
        quality = round(JPEG[0] + (JPEG[1] - JPEG[0]) * float(qualities[k]))
        pixels = (flat[k] * 255).round().byte().permute(1, 2, 0).cpu().numpy()
        # OpenCV takes blue first, and JPEG keeps less of colour than of brightness.
        _, stored = cv2.imencode(".jpg", pixels[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])
        seen = np.asarray(cv2.imdecode(stored, cv2.IMREAD_COLOR), np.uint8)[..., ::-1]
        flat[k] = torch.from_numpy(seen.copy()).permute(2, 0, 1).to(images) / 255
    return flat.reshape(images.shape)
