"""The lung segmenter: an ImageNet EfficientNet-Lite0 down to stride 16, and a light decoder up to half the input's size."""

import timm
import torch
from timm.layers import BatchNormAct2d
from torch import nn
from torch.nn import functional

from lite0 import imagenet_weights

STAGES = 5
"""Stages of the encoder, stride 16; the two after them hold three quarters of all weights and see no finer."""

SKIPS = (2, 1, 0)
"""The stages (strides 8, 4, 2) whose outputs the decoder reads again, deepest first."""

WIDTHS = (64, 40, 24)
"""Channels of the decoder's steps."""

FROZEN_STAGES = 1
"""The stem and the first stage keep their ImageNet filters."""


class ConvNormAct(nn.Module):
    """Convolution, batch normalisation, ReLU6."""

    def __init__(self, inputs: int, outputs: int, kernel: int = 1, groups: int = 1):
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2, groups=groups, bias=False)
        self.norm = BatchNormAct2d(outputs, act_layer=nn.ReLU6)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.norm(self.conv(x))


class Step(nn.Module):
    """Twice the size (nearest), the encoder's features of that size beside it, and a separable convolution."""

    def __init__(self, inputs: int, skipped: int, width: int):
        super().__init__()
        self.merge = ConvNormAct(inputs + skipped, width)
        self.spread = ConvNormAct(width, width, kernel=5, groups=width)
        self.mix = ConvNormAct(width, width)

    def forward(self, x: torch.Tensor, skip: torch.Tensor) -> torch.Tensor:
        x = torch.cat([functional.interpolate(x, scale_factor=2.0, mode="nearest"), skip], dim=1)
        return self.mix(self.spread(self.merge(x)))


class LungNet(nn.Module):
    """Maps N x 3 x 256 x 256 to one logit for each cell of a 128 x 128 grid: does lung lie there?"""

    def __init__(self, pretrained: bool = True):
        super().__init__()
        whole = timm.create_model("tf_efficientnet_lite0", pretrained=False, drop_path_rate=0.1)
        if pretrained:
            whole.load_state_dict(imagenet_weights(whole))
        self.conv_stem, self.bn1, self.blocks = whole.conv_stem, whole.bn1, whole.blocks[:STAGES]
        channels = [stage[-1].conv_pwl.out_channels if hasattr(stage[-1], "conv_pwl") else stage[-1].conv_pw.out_channels for stage in self.blocks]
        inputs = [channels[-1], *WIDTHS[:-1]]
        self.decoder = nn.ModuleList(Step(i, channels[s], w) for i, s, w in zip(inputs, SKIPS, WIDTHS))
        self.lungs = nn.Conv2d(WIDTHS[-1], 1, 1)

    def encode(self, x: torch.Tensor) -> list[torch.Tensor]:
        """The output of every stage."""
        x = self.bn1(self.conv_stem(x))
        outputs = []
        for stage in self.blocks:
            x = stage(x)
            outputs.append(x)
        return outputs

    def decode(self, stages: list[torch.Tensor]) -> torch.Tensor:
        """The logits of the lung fields."""
        x = stages[-1]
        for step, skip in zip(self.decoder, SKIPS):
            x = step(x, stages[skip])
        return self.lungs(x)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.decode(self.encode(x))


def freeze(network: LungNet) -> None:
    """Stops gradients and batch statistics of the stem and the first stages; call it after each `train()`."""
    for module in [network.conv_stem, network.bn1, *network.blocks[:FROZEN_STAGES]]:
        module.eval()
        module.requires_grad_(False)
