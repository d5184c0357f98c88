"""What remains of a posed image once the network has looked at it, and where points lie in it."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import cv2
import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from kdbts_ros.density.engines.answers import Floats
from kdbts_ros.density.geometry.camera import Array, Camera, OwnCamera, View, check_rigid, inverse
from kdbts_ros.density.ground.anchor import AS_SEEN, Anchor
from kdbts_ros.density.network.network import NetworkSpec
from kdbts_ros.density.network.projection import MIN_DEPTH, Projected


class EnginesMap(Protocol):
    """What an engine made of a folded map; heads that share a hidden layer share it."""

    @property
    def features(self) -> npt.NDArray[Any]: ...


@dataclass(frozen=True, eq=False)
class EncodedView:
    """A view as queries need it: keyframes are kept in this form and never encoded again.

    Attributes:
        feature_maps: by head of the network, its folded map (hidden,H,W) float32, channels last.
        camera: of the image as it was given; a map stretches over its whole image.
        T_world_cam: (4,4) camera to world.
        image: (H,W,3) uint8 RGB at the map's size, for colours alone.
        scale, valid, own: see `View`; `scale` with the anchor's in it.
        anchor: the ground's share of scale and pose.
        visibility: depth (h,w) m where half the light is gone, see `SceneCompleter.visibility`.
        kept: by head, what an engine made of its map: for that engine alone.

    Raises:
        UserError: a pose that is not rigid.
    """

    feature_maps: tuple[Tensor, ...]
    camera: Camera
    T_world_cam: Array
    image: npt.NDArray[np.uint8]
    scale: float = 1.0
    valid: npt.NDArray[np.bool_] | None = None
    own: OwnCamera | None = None
    anchor: Anchor = AS_SEEN
    visibility: list[Floats] = field(default_factory=list)
    kept: dict[str, EnginesMap] = field(default_factory=dict)

    def __post_init__(self) -> None:
        check_rigid(self.T_world_cam, "T_world_cam")

    @property
    def nbytes(self) -> int:
        """Memory this view holds, bytes."""
        # Heads that share their hidden layer share these.
        maps = {id(m): m.numel() * m.element_size() for m in self.feature_maps}
        counts = {id(m.features): m.features.nbytes for m in self.kept.values()}
        return sum(maps.values()) + sum(counts.values()) + self.image.nbytes

    def shows(self, uv: Tensor) -> Tensor:
        """(M,) bool: positions (M,2) in [-1,1]^2 of the image where it holds what a camera saw."""
        if self.valid is None:
            return torch.ones(len(uv), dtype=torch.bool, device=uv.device)
        valid = torch.from_numpy(self.valid).to(uv.device)
        size = torch.tensor([valid.shape[1], valid.shape[0]], device=uv.device)
        column, row = ((uv + 1) / 2 * size).long().clamp_min(0).minimum(size - 1).unbind(-1)
        return valid[row, column]

    @classmethod
    @torch.inference_mode()
    def of(
        cls,
        view: View,
        image: npt.NDArray[np.uint8],
        encode: Callable[[Tensor], list[Tensor]],
        device: torch.device,
    ) -> EncodedView:
        """F_k of a view; image (H,W,3): its image at the network's size; encode: an engine's."""
        images = torch.from_numpy(image).to(device).permute(2, 0, 1)[None].float() / 255
        feature_maps = encode(images.contiguous(memory_format=torch.channels_last))
        # One object for heads that share a map.
        first = {id(m): m[0] for m in feature_maps}
        shown = tuple(first[id(m)] for m in feature_maps)
        return cls(shown, view.camera, view.T_world_cam, image, view.scale, view.valid, view.own)

    def anchored(self, anchor: Anchor) -> EncodedView:
        """The same view, as seen so far, by an anchor: nothing is asked of the network again."""
        assert self.anchor is AS_SEEN
        if anchor is AS_SEEN:
            return self
        T_world_cam = np.array(self.T_world_cam)
        T_world_cam[:3, :3] = T_world_cam[:3, :3] @ anchor.R_view_seen
        return dataclasses.replace(
            self,
            T_world_cam=T_world_cam,
            scale=self.scale * anchor.scale,
            anchor=anchor,
            visibility=[depth / np.float32(anchor.scale) for depth in self.visibility],
        )

    def reposed(self, T_world_cam: Array) -> EncodedView:
        """The same feature maps under another pose, as after a loop closure; nothing is copied."""
        return dataclasses.replace(self, T_world_cam=T_world_cam)


def resized(image: npt.NDArray[np.uint8], spec: NetworkSpec) -> npt.NDArray[np.uint8]:
    """(h,w,3) uint8 at the network's size: what it is shown."""
    size = (spec.image_width, spec.image_height)
    if image.shape[1::-1] == size:
        return np.ascontiguousarray(image)
    shrinks = image.shape[1] > size[0] and image.shape[0] > size[1]
    method = cv2.INTER_AREA if spec.resize == "area" and shrinks else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(image, size, interpolation=method), np.uint8)


def projection(view: EncodedView) -> Array:
    """(3,4): world to homogeneous positions (u z, v z, z) in the world the network is shown."""
    return np.asarray(view.scale * (view.camera.ndc @ inverse(view.T_world_cam)[:3]))


def project_world(views: Sequence[EncodedView], points: Array) -> Projected:
    """π_k(x): world points (N,3) in V views, uv (V,N,2), z (V,N) as shown to the network, and
    seen (V,N)."""
    # In float64 to the image: odometry coordinates of kilometres would cost centimetres.
    matrices = [projection(view) for view in views]
    q = np.stack([points @ P[:, :3].T + P[:, 3] for P in matrices]).astype(np.float32)
    positions = torch.from_numpy(q).to(views[0].feature_maps[0].device)
    depth = positions[..., 2]
    z = depth.clamp_min(MIN_DEPTH)
    uv = positions[..., :2] / z.unsqueeze(-1)
    seen = (depth > MIN_DEPTH) & (uv.abs() <= 1).all(-1)
    shown = torch.stack([view.shows(uv[k]) for k, view in enumerate(views)])
    return Projected(uv, z, seen & shown)
