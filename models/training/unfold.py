"""A shipped InceptionV3's second half back in PyTorch, so that training can go on from a `model.onnx`.

The file's convolutions do their batch normalisation too, so a normalisation's own numbers are lost. They are chosen anew such that
the network says the same: each convolution's mean over some features becomes its running mean, and is given back by the bias.
"""

from pathlib import Path

import numpy as np
import onnx
import torch
from onnx import numpy_helper

from inception import EPSILON, Back, ConvNorm, convolutions


@torch.no_grad()
def unfold(back: Back, model: Path, first: int, features: np.ndarray) -> None:
    """Sets weights from the file's convolutions, numbered from `first` on, and statistics from a batch of features."""
    tensors = {tensor.name: numpy_helper.to_array(tensor) for tensor in onnx.load(model).graph.initializer}

    def tensor(name: str, wanted: torch.Tensor) -> torch.Tensor:
        if name not in tensors or tensors[name].shape != tuple(wanted.shape):
            raise ValueError(f"{model} has no {name} of shape {tuple(wanted.shape)}: it is no covid-xray-inception")
        return torch.from_numpy(tensors[name].astype(np.float32))

    for number, layer in enumerate(convolutions(back), start=first):
        layer.conv.weight.copy_(tensor(f"conv2d_{number}.weight.f16", layer.conv.weight))
        layer.norm.bias.copy_(tensor(f"conv2d_{number}.bias", layer.norm.bias))
        layer.norm.running_mean.zero_()
        layer.norm.running_var.fill_(1 - EPSILON)
    back.classifier.weight.copy_(tensor("classifier.weight", back.classifier.weight))
    back.classifier.bias.copy_(tensor("classifier.bias", back.classifier.bias))
    give_means(back, torch.from_numpy(np.array(features)).float())


def give_means(back: Back, features: torch.Tensor) -> None:
    """Moves each convolution's mean from the bias into the running mean, which changes no answer."""
    means: dict[ConvNorm, torch.Tensor] = {}
    layers = convolutions(back)

    def note(layer: ConvNorm) -> torch.utils.hooks.RemovableHandle:
        return layer.conv.register_forward_hook(lambda _, __, linear: means.update({layer: linear.mean((0, 2, 3))}))

    hooks = [note(layer) for layer in layers]
    back.eval()(features)
    for hook, layer in zip(hooks, layers):
        hook.remove()
        layer.norm.running_mean.copy_(means[layer])
        layer.norm.bias.add_(means[layer])
