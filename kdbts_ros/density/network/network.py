"""The density network: encode images once, ask any point for its density."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from math import isfinite
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from kdbts_ros.density.network.baseline_heads import (
    RAY_SAMPLES,
    IbrnetHead,
    PixelNerfHead,
    fuse_along,
    points_on_rays,
)
from kdbts_ros.density.network.decoder import FeatureDecoder
from kdbts_ros.density.network.efficientnet import EfficientNetLite
from kdbts_ros.density.network.heads import (
    ATTENTION_HEADS,
    AttentionHead,
    Head,
    MultiViewHead,
    SimpleMultiViewHead,
    SingleViewHead,
)
from kdbts_ros.density.network.positional_encoding import PositionalCode, map_depth
from kdbts_ros.density.network.projection import project
from kdbts_ros.density.network.resnet import ResNetTrunk
from kdbts_ros.density.network.trunk import Trunk
from kdbts_ros.density.network.volume_rendering import SPACINGS, sample_distances
from kdbts_ros.errors import UserError

HEADS = ("bts", "kdbts", "mvbts", "simple_multiview", "attention", "pixelnerf", "ibrnet")
SINGLE_VIEW_HEADS = ("bts", "kdbts")
# By the name in files: how people call it, and what builds it with random weights.
TRUNKS: dict[str, tuple[str, Callable[[], Trunk]]] = {
    "resnet18": ("ResNet-18", partial(ResNetTrunk, 18)),
    "resnet50": ("ResNet-50", partial(ResNetTrunk, 50)),
    "efficientnet_lite0": ("EfficientNet-Lite0", partial(EfficientNetLite, 0)),
    "efficientnet_lite1": ("EfficientNet-Lite1", partial(EfficientNetLite, 1)),
    "efficientnet_lite2": ("EfficientNet-Lite2", partial(EfficientNetLite, 2)),
}
# Of a network that knows what is nearer the code is as if all stood farther off, m: beyond this
# depth it is then as fine as that of a network that begins there.
CODE_NEAR = 3.0
# Far beyond every network of the kind, and far below what would take all memory.
WIDEST, LARGEST_INPUT = 4096, 8192
# Three times full HD: features of so many pixels take gigabytes already.
MOST_INPUT_PIXELS = 1 << 22


@dataclass(frozen=True)
class NetworkSpec:
    """Everything needed to build a network whose weights are then loaded.

    `trunk` is a name of `TRUNKS`. `resize` is how larger images are brought down: "linear" as the
    original weights were trained, "area" without aliasing. `head_widths` are the hidden widths of
    the head: (hidden,) for one perceptron, (hidden, fused, hidden2) for the
    heads of several views.
    `student_widths` are those of a single-view head that a multi-view network may carry beside its
    own (KDBTS: teacher and student over one trunk); empty means none. With `shared_hidden` both
    read one hidden layer, so that a view has one folded map for both. Images are stretched to
    `image_height` x `image_width`, the size the network was trained on. With `ground_rows` the
    decoder is told its rows, and so where a level camera of one height sees the ground.
    Rays are sampled from `depth_near` to `depth_far` by `depth_spacing`, see `SPACINGS`; the code
    of a point's depth is finest where they are densest, see `code_depths`.
    """

    trunk: str = "resnet50"
    feature_channels: int = 64
    decoder_channels: tuple[int, int, int, int, int] = (64, 64, 64, 128, 256)
    head: str = "kdbts"
    head_widths: tuple[int, ...] = (64,)
    depth_near: float = 3.0
    depth_far: float = 80.0
    image_height: int = 192
    image_width: int = 640
    resize: str = "linear"
    student_widths: tuple[int, ...] = ()
    shared_hidden: bool = False
    ground_rows: bool = False
    depth_spacing: str = "inverse"

    def __post_init__(self) -> None:
        self._check_sizes()
        if self.trunk not in TRUNKS:
            raise UserError(f"unknown trunk '{self.trunk}', use one of {', '.join(TRUNKS)}")
        if self.head not in HEADS:
            raise UserError(f"unknown head '{self.head}', use one of {', '.join(HEADS)}")
        if self.image_height % 32 or self.image_width % 32:
            raise UserError(
                f"network input {self.image_width}x{self.image_height} must be a multiple of 32"
            )
        if self.resize not in ("linear", "area"):
            raise UserError(f"unknown resize '{self.resize}', use linear or area")
        fused = self.head_widths[1:2]
        attends = self.head in ("attention", "ibrnet")
        if attends and any(width % ATTENTION_HEADS for width in fused):
            raise UserError(
                f"the fused width of an {self.head} head must be a multiple of {ATTENTION_HEADS}, "
                f"not {fused[0]}"
            )
        if self.student_widths and self.head in SINGLE_VIEW_HEADS:
            raise UserError(f"a network with the head '{self.head}' cannot carry a student as well")
        if self.shared_hidden and self.student_widths != self.head_widths[:1]:
            raise UserError(
                "heads that share their hidden layer need a student, and one hidden width: "
                f"student_widths is {self.student_widths}, head_widths {self.head_widths}"
            )
        if not 0 < self.depth_near < self.depth_far:
            raise UserError("depth_near must be positive and smaller than depth_far")
        if self.depth_spacing not in SPACINGS:
            raise UserError(
                f"unknown depth_spacing '{self.depth_spacing}', use {' or '.join(SPACINGS)}"
            )

    def _check_sizes(self) -> None:
        """A description comes from a file: it may hold anything, and ask for any memory."""
        several = 1 if self.head in (*SINGLE_VIEW_HEADS, "simple_multiview") else 3
        for name, values, most in (
            ("feature_channels", (self.feature_channels,), 1),
            ("decoder_channels", self.decoder_channels, 5),
            ("head_widths", self.head_widths, several),
            ("student_widths", self.student_widths, 1),
        ):
            least = {"decoder_channels": 5, "student_widths": 0}.get(name, 1)
            if not least <= len(values) <= most:
                raise UserError(f"{name} must be {most} numbers, not {len(values)}")
            if not all(type(v) is int and 1 <= v <= WIDEST for v in values):
                raise UserError(f"{name} must be whole numbers of 1 to {WIDEST}, got {values}")
        for name, value in (("height", self.image_height), ("width", self.image_width)):
            if type(value) is not int or not 32 <= value <= LARGEST_INPUT:
                raise UserError(
                    f"image_{name} must be a whole number of 32 to {LARGEST_INPUT}, got {value}"
                )
        if self.image_height * self.image_width > MOST_INPUT_PIXELS:
            raise UserError(
                f"the network input {self.image_width}x{self.image_height} has more than "
                f"{MOST_INPUT_PIXELS} pixels"
            )
        if not all(isinstance(d, (int, float)) and isfinite(d) for d in self.depths):
            raise UserError(f"depth_near and depth_far must be numbers, got {self.depths}")

    @property
    def trunk_title(self) -> str:
        """How people call the trunk."""
        return TRUNKS[self.trunk][0]

    @property
    def depths(self) -> tuple[float, float]:
        """Nearest and farthest depth of the code, m."""
        return self.depth_near, self.depth_far

    @property
    def code_depths(self) -> tuple[float, float, float]:
        """What `map_depth` maps by: `depths` and its offset, m, none for inverse spacing."""
        near_again = max(0.0, CODE_NEAR - self.depth_near)
        return *self.depths, near_again if self.depth_spacing == "log" else 0.0

    def of_student(self) -> NetworkSpec:
        """The network of the student alone: the same trunk under a single-view head."""
        return replace(
            self,
            head="kdbts",
            head_widths=self.student_widths,
            student_widths=(),
            shared_hidden=False,
        )


def build_trunk(name: str) -> Trunk:
    """The trunk of a name in `TRUNKS`, with random weights."""
    return TRUNKS[name][1]()


def build_head(spec: NetworkSpec) -> nn.Module:
    inputs = spec.feature_channels + PositionalCode.width
    if spec.head == "mvbts":
        return MultiViewHead(inputs, *spec.head_widths)
    if spec.head == "attention":
        return AttentionHead(inputs, *spec.head_widths)
    if spec.head == "pixelnerf":
        return PixelNerfHead(inputs, *spec.head_widths)
    if spec.head == "ibrnet":
        return IbrnetHead(inputs, *spec.head_widths)
    if spec.head == "simple_multiview":
        return SimpleMultiViewHead(inputs, *spec.head_widths)
    return SingleViewHead(inputs, *spec.head_widths)


class DensityNetwork(nn.Module):
    """Encoder, decoder, code γ and a head φ (BTS, CVPR 2023; KDBTS, CVPR 2024).

    A multi-view network, φ_MV, may carry a `student`, φ_SV, over the same features F_k.
    """

    def __init__(self, spec: NetworkSpec) -> None:
        super().__init__()
        self.spec = spec
        self.encoder = build_trunk(spec.trunk)
        self.decoder = FeatureDecoder(
            self.encoder.channels,
            spec.decoder_channels,
            spec.feature_channels,
            spec.ground_rows,
        )
        self.code = PositionalCode()
        self.head = build_head(spec)
        self.student: SingleViewHead | None = None
        if spec.student_widths:
            inputs = spec.feature_channels + PositionalCode.width
            self.student = SingleViewHead(inputs, *spec.student_widths)
        if spec.shared_hidden and self.student is not None:
            self.student.mlp.lin_in = self.density_head.first_layers().lin_in

    @property
    def density_head(self) -> Head:
        return cast(Head, self.head)

    def heads(self) -> dict[str, Head]:
        """Every head by the prefix of its figures: "" for the main one, "student_"."""
        found = {"": self.density_head}
        if self.student is not None:
            found["student_"] = cast(Head, self.student)
        return found

    def encode(self, images: Tensor) -> Tensor:
        """F_k: images I_k (N,3,H,W) RGB in [0,1] to pixel-aligned features (N,C,H,W)."""
        features: Tensor = self.decoder(self.encoder(images))
        return features

    def density(
        self, features: Tensor, K_ndc: Tensor, T_cam_world: Tensor, points: Tensor
    ) -> tuple[Tensor, Tensor]:
        """σ(x) = softplus(φ(F_k(u_k), γ(u_k, d_k))) of world points x, the plain formulation.

        Args:
            features: (B,V,C,H,W). K_ndc: (B,V,3,3). T_cam_world: (B,V,4,4). points: (B,M,3) m.

        Returns:
            sigma (B,M) in 1/m and seen (B,V,M): which views have the point in their image. A point
            no view sees still gets a number, which means nothing: mask it.
        """
        head = self.density_head
        if not head.multi_view:
            features, K_ndc, T_cam_world = features[:, :1], K_ndc[:, :1], T_cam_world[:, :1]
        return self.density_by(head, features, K_ndc, T_cam_world, points)

    def density_by(
        self,
        head: Head,
        features: Tensor,
        K_ndc: Tensor,
        T_cam_world: Tensor,
        points: Tensor,
        samples: int = 0,
    ) -> tuple[Tensor, Tensor]:
        """As `density`, by one of the network's heads about all of the views.

        samples: of each of the rays that the points make up, in order; 0: they are on their own.
        """
        if samples or not isinstance(head, IbrnetHead):
            vectors, seen = self.vectors(features, K_ndc, T_cam_world, points)
            read = head.first_layers()(vectors)
            return F.softplus(fuse_along(head, read, seen, samples or 1)), seen
        R, t = T_cam_world[:, 0, :3, :3], T_cam_world[:, 0, :3, 3]
        origin = -(R.mT @ t.unsqueeze(-1)).squeeze(-1)
        middles = torch.full((RAY_SAMPLES,), 0.5, device=points.device)
        t = sample_distances(*self.spec.depths, middles, self.spec.depth_spacing)
        rays, place = points_on_rays(points, origin, t)
        vectors, seen = self.vectors(features, K_ndc, T_cam_world, rays.flatten(1, 2))
        pre = fuse_along(head, head.first_layers()(vectors), seen, RAY_SAMPLES)
        at_points = pre.view(*place.shape, RAY_SAMPLES).gather(-1, place.unsqueeze(-1))
        return F.softplus(at_points.squeeze(-1)), project(K_ndc, T_cam_world, points).seen

    def vectors(
        self, features: Tensor, K_ndc: Tensor, T_cam_world: Tensor, points: Tensor
    ) -> tuple[Tensor, Tensor]:
        """What heads read: (B,V,M,C+39) features and codes of points, and seen (B,V,M).

        Arguments as in `density`.
        """
        projected = project(K_ndc, T_cam_world, points)
        sampled = sample_features(features, projected.uv)
        depth = map_depth(projected.z, *self.spec.code_depths)
        code = self.code(torch.cat([projected.uv, depth.unsqueeze(-1)], dim=-1))
        return torch.cat([sampled, code], dim=-1), projected.seen


def sample_features(features: Tensor, uv: Tensor) -> Tensor:
    """F_k(u_k): (B,V,C,H,W) maps at (B,V,M,2) in [-1,1]^2, bilinear, border kept: (B,V,M,C)."""
    B, V, M = uv.shape[:3]
    sampled = F.grid_sample(
        features.flatten(0, 1),
        uv.reshape(B * V, M, 1, 2),
        mode="bilinear",
        padding_mode="border",
        align_corners=False,
    )
    return sampled.squeeze(-1).transpose(1, 2).reshape(B, V, M, -1)
