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

GATE_STAGES = (3, 4)
"""Stages whose averages over the picture the gate sees."""

GATE_CELL = 16
"""Side, in cells of the mask, of the squares whose share of lung the gate sees."""

GATE_SQUARES = 8
"""How many of them lie along a side of the mask."""

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
        self.features = sum(channels[stage] for stage in GATE_STAGES) + GATE_SQUARES**2

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

    def look(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """The logits of the lung fields, and the features that the gate judges by: what is seen, and where the lungs lie."""
        stages = self.encode(x)
        logits = self.decode(stages)
        pooled = [stages[stage].mean((2, 3)) for stage in GATE_STAGES]
        where = functional.avg_pool2d(torch.sigmoid(logits), GATE_CELL).flatten(1)
        return logits, torch.cat([*pooled, where], dim=1)


class Gate(nn.Module):
    """Judges features: a small network that learned what is no chest X-ray, less the distance from all chest X-rays it learned from.

    The first knows kinds of pictures that it was shown, the second asks nothing about them: how far do the features lie from
    those of chest X-rays, in standard deviations along their principal axes (the Mahalanobis distance, shrunk covariance)?
    """

    def __init__(self, features: int, hidden: int = 64):
        super().__init__()
        self.narrow = nn.Linear(features, hidden)
        self.judge = nn.Linear(hidden, 1)
        self.whiten = nn.Linear(features, features, bias=False)
        self.register_buffer("scale", torch.ones(features))
        self.register_buffer("shift", torch.zeros(features))
        self.register_buffer("shares", torch.zeros(3))

    def standardise(self, features: torch.Tensor) -> torch.Tensor:
        """Features of chest X-rays with mean 0 and standard deviation 1; nothing beyond 8, so that no single one decides."""
        return (features * self.scale + self.shift).clamp(-8, 8)

    def head(self, known: torch.Tensor) -> torch.Tensor:
        """The judgement of the small network on standardised features: positive for a chest X-ray."""
        return self.judge(functional.dropout(functional.relu(self.narrow(known)), 0.2, self.training))

    def distance(self, known: torch.Tensor) -> torch.Tensor:
        """Root of the mean square along the principal axes: about 1 for a chest X-ray."""
        return self.whiten(known).square().mean(1, keepdim=True).sqrt()

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """head * shares[0] - distance * shares[1] + shares[2]."""
        known = self.standardise(features)
        return self.shares[0] * self.head(known) - self.shares[1] * self.distance(known) + self.shares[2]


def freeze(network: LungNet) -> None:
    """Stops gradients and batch statistics of the stem and the first stages; call it after each `train()`."""
    for module in [network.conv_stem, network.bn1, *network.blocks[:FROZEN_STAGES]]:
        module.eval()
        module.requires_grad_(False)
