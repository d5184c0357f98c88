"""EfficientNet-Lite trunks 0 to 2: EfficientNet (Tan and Le, ICML 2019) for small processors.

No squeeze-and-excitation, ReLU6 in place of swish. As defined in TensorFlow's
`models/official/efficientnet/lite`, without the layers behind the last block. Convolutions are
padded as TensorFlow pads ("SAME"): at stride 2 on even sizes, one zero more after than before.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import nn

from kdbts_ros.density.network.trunk import Activation, Layer, Residual, Step, Trunk

STEM = 32


@dataclass(frozen=True)
class Stage:
    """Blocks of one width, of which the first carries the stride."""

    kernel: int
    stride: int
    expansion: int
    channels: int
    blocks: int


def _stages(channels: tuple[int, ...], blocks: tuple[int, ...]) -> tuple[Stage, ...]:
    kernels, strides, expansions = (3, 3, 5, 3, 5, 5, 3), (1, 2, 2, 2, 1, 2, 1), (1, *[6] * 6)
    return tuple(map(Stage, kernels, strides, expansions, channels, blocks))


# Wider by 1, 1 and 1.1, deeper by 1, 1.1 and 1.2; stem, first and last stage are not deepened.
ARCHITECTURES = {
    0: _stages((16, 24, 40, 80, 112, 192, 320), (1, 2, 2, 3, 3, 4, 1)),
    1: _stages((16, 24, 40, 80, 112, 192, 320), (1, 3, 3, 4, 4, 5, 1)),
    2: _stages((16, 24, 48, 88, 120, 208, 352), (1, 3, 3, 4, 4, 5, 1)),
}
# The stages of each level, whose last one is tapped.
LEVELS = (0,), (1,), (2,), (3, 4), (5, 6)


class NormedConvolution(nn.Module):
    """A convolution without bias, and its norm."""

    def __init__(
        self, inputs: int, outputs: int, kernel: int = 1, stride: int = 1, groups: int = 1
    ) -> None:
        super().__init__()
        padding = kernel // 2 if stride == 1 else 0
        self.conv = nn.Conv2d(inputs, outputs, kernel, stride, padding, groups=groups, bias=False)
        self.norm = nn.BatchNorm2d(outputs, eps=1e-3, momentum=0.01)
        spare = kernel - stride
        self.border = (0, 0) if stride == 1 else (spare // 2, spare - spare // 2)

    def step(self, activation: Activation) -> Layer:
        return Layer(self.conv, self.norm, activation, self.border)


class InvertedResidual(nn.Module):
    """1x1 to many channels, k x k of each channel alone, 1x1 to few (Sandler et al., CVPR 2018)."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int, expansion: int) -> None:
        super().__init__()
        hidden = inputs * expansion
        self.expand = NormedConvolution(inputs, hidden) if expansion > 1 else None
        self.depthwise = NormedConvolution(hidden, hidden, kernel, stride, groups=hidden)
        self.project = NormedConvolution(hidden, outputs)
        self.skips = stride == 1 and inputs == outputs

    def steps(self) -> tuple[Step, ...]:
        first = () if self.expand is None else (self.expand.step("relu6"),)
        path = *first, self.depthwise.step("relu6"), self.project.step("none")
        return (Residual(path, None, "none"),) if self.skips else path


class EfficientNetLite(Trunk):
    """Normalised to (255 x - 127) / 128, as TensorFlow trained it on ImageNet."""

    mean, deviation = 127 / 255, 128 / 255

    def __init__(self, size: int) -> None:
        super().__init__()
        self.stem = NormedConvolution(3, STEM, kernel=3, stride=2)
        stages, inputs = [], STEM
        for stage in ARCHITECTURES[size]:
            blocks = []
            for position in range(stage.blocks):
                stride = stage.stride if position == 0 else 1
                blocks.append(
                    InvertedResidual(inputs, stage.channels, stage.kernel, stride, stage.expansion)
                )
                inputs = stage.channels
            stages.append(nn.Sequential(*blocks))
        self.stages = nn.ModuleList(stages)
        c0, c1, c2, c3, c4 = (ARCHITECTURES[size][level[-1]].channels for level in LEVELS)
        self.channels = (c0, c1, c2, c3, c4)

    def levels(self) -> tuple[tuple[nn.Module, ...], ...]:
        first, *others = (tuple(self.stages[k] for k in level) for level in LEVELS)
        return (self.stem, *first), *others

    def steps(self) -> tuple[tuple[Step, ...], ...]:
        first, *others = (
            tuple(s for k in level for block in self.stages[k].children() for s in block.steps())  # type: ignore[operator]
            for level in LEVELS
        )
        return (self.stem.step("relu6"), *first), *others
