"""ResNet-18 and ResNet-50 trunks with torchvision's parameter names (He et al., CVPR 2016)."""

from __future__ import annotations

from torch import nn

from kdbts_ros.density.network.trunk import Layer, Pool, Residual, Step, Trunk

PLANES = (64, 128, 256, 512)


def _norm(channels: int) -> nn.BatchNorm2d:
    return nn.BatchNorm2d(channels, eps=1e-5)


def _shortcut(inputs: int, outputs: int, stride: int) -> nn.Sequential | None:
    if stride == 1 and inputs == outputs:
        return None
    return nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride, bias=False), _norm(outputs))


def _shortcut_layer(module: nn.Sequential | None) -> Layer | None:
    return None if module is None else Layer(module[0], module[1], "none")  # type: ignore[arg-type]


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

    def step(self) -> Residual:
        path = Layer(self.conv1, self.bn1, "relu"), Layer(self.conv2, self.bn2, "none")
        return Residual(path, _shortcut_layer(self.downsample), "relu")


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

    def step(self) -> Residual:
        path = (
            Layer(self.conv1, self.bn1, "relu"),
            Layer(self.conv2, self.bn2, "relu"),
            Layer(self.conv3, self.bn3, "none"),
        )
        return Residual(path, _shortcut_layer(self.downsample), "relu")


ARCHITECTURES: dict[int, tuple[type[BasicBlock | Bottleneck], tuple[int, int, int, int]]] = {
    18: (BasicBlock, (2, 2, 2, 2)),
    50: (Bottleneck, (3, 4, 6, 3)),
}


class ResNetTrunk(Trunk):
    """Normalised as monodepth2 and BTS were trained."""

    mean, deviation = 0.45, 0.225

    def __init__(self, depth: int) -> None:
        super().__init__()
        block, counts = ARCHITECTURES[depth]
        c1, c2, c3, c4 = (planes * block.expansion for planes in PLANES)
        self.channels = (64, c1, c2, c3, c4)
        self.conv1 = nn.Conv2d(3, 64, 7, 2, 3, bias=False)
        self.bn1 = _norm(64)
        inputs = 64
        for index, (planes, count) in enumerate(zip(PLANES, counts, strict=True)):
            stages = []
            for position in range(count):
                stride = 2 if index > 0 and position == 0 else 1
                stages.append(block(inputs, planes, stride))
                inputs = planes * block.expansion
            self.add_module(f"layer{index + 1}", nn.Sequential(*stages))

    def levels(self) -> tuple[tuple[nn.Module, ...], ...]:
        return (self.conv1, self.bn1), *((self.get_submodule(f"layer{k}"),) for k in range(1, 5))

    def steps(self) -> tuple[tuple[Step, ...], ...]:
        blocks = [[block.step() for block in stage] for (stage,) in self.levels()[1:]]  # type: ignore[attr-defined]
        stem = Layer(self.conv1, self.bn1, "relu")
        return (stem,), (Pool(), *blocks[0]), *map(tuple, blocks[1:])
