"""ResNet-18 and ResNet-50 trunks with torchvision's parameter names (He et al., CVPR 2016)."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F


def _norm(channels: int) -> nn.BatchNorm2d:
    return nn.BatchNorm2d(channels, eps=1e-5)


def _shortcut(inputs: int, outputs: int, stride: int) -> nn.Sequential | None:
    if stride == 1 and inputs == outputs:
        return None
    return nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride, bias=False), _norm(outputs))


class BasicBlock(nn.Module):
    """Two 3x3 convolutions."""

    expansion = 1

    def __init__(self, inputs: int, planes: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, planes, 3, stride, 1, bias=False)
        self.bn1 = _norm(planes)
        self.conv2 = nn.Conv2d(planes, planes, 3, 1, 1, bias=False)
        self.bn2 = _norm(planes)
        self.downsample = _shortcut(inputs, planes, stride)

    def forward(self, x: Tensor) -> Tensor:
        skip = x if self.downsample is None else self.downsample(x)
        y = F.relu(self.bn1(self.conv1(x)))
        return F.relu(self.bn2(self.conv2(y)) + skip)


class Bottleneck(nn.Module):
    """1x1, 3x3, 1x1 convolutions; the 3x3 one carries the stride ("v1.5")."""

    expansion = 4

    def __init__(self, inputs: int, planes: int, stride: int) -> None:
        super().__init__()
        outputs = planes * self.expansion
        self.conv1 = nn.Conv2d(inputs, planes, 1, bias=False)
        self.bn1 = _norm(planes)
        self.conv2 = nn.Conv2d(planes, planes, 3, stride, 1, bias=False)
        self.bn2 = _norm(planes)
        self.conv3 = nn.Conv2d(planes, outputs, 1, bias=False)
        self.bn3 = _norm(outputs)
        self.downsample = _shortcut(inputs, outputs, stride)

    def forward(self, x: Tensor) -> Tensor:
        skip = x if self.downsample is None else self.downsample(x)
        y = F.relu(self.bn1(self.conv1(x)))
        y = F.relu(self.bn2(self.conv2(y)))
        return F.relu(self.bn3(self.conv3(y)) + skip)


ARCHITECTURES: dict[int, tuple[type[BasicBlock | Bottleneck], tuple[int, int, int, int]]] = {
    18: (BasicBlock, (2, 2, 2, 2)),
    50: (Bottleneck, (3, 4, 6, 3)),
}


def normalised(images: Tensor) -> Tensor:
    """One mean and deviation for all channels, as monodepth2 and BTS were trained."""
    return (images - 0.45) / 0.225


class ResNetEncoder(nn.Module):
    """Five feature maps at 1/2, 1/4, 1/8, 1/16 and 1/32 of the image size."""

    def __init__(self, layers: int) -> None:
        super().__init__()
        block, counts = ARCHITECTURES[layers]
        self.channels = (64, *(planes * block.expansion for planes in (64, 128, 256, 512)))
        self.conv1 = nn.Conv2d(3, 64, 7, 2, 3, bias=False)
        self.bn1 = _norm(64)
        inputs = 64
        for index, (planes, count) in enumerate(zip((64, 128, 256, 512), counts, strict=True)):
            stages = []
            for position in range(count):
                stride = 2 if index > 0 and position == 0 else 1
                stages.append(block(inputs, planes, stride))
                inputs = planes * block.expansion
            self.add_module(f"layer{index + 1}", nn.Sequential(*stages))

    def forward(self, images: Tensor) -> list[Tensor]:
        """(N,3,H,W) in [0,1] to the five maps, finest first."""
        taps = [F.relu(self.bn1(self.conv1(normalised(images))))]
        x = F.max_pool2d(taps[0], 3, 2, 1)
        for index in range(1, 5):
            x = self.get_submodule(f"layer{index}")(x)
            taps.append(x)
        return taps
