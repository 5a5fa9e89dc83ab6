"""Classifiers with random weights, and their ONNX files."""

import logging
import math
import warnings
from pathlib import Path

import timm
import torch
import torchvision
from timm.layers import set_fused_attn
from torch import nn

from architectures import Architecture

CLASSES = 10
SEED = 20260101

warnings.filterwarnings("ignore")
logging.disable(logging.WARNING)


def build(architecture: Architecture) -> nn.Module:
    """The classifier, always with the same weights."""
    torch.manual_seed(SEED)
    set_fused_attn(not architecture.plain_attention)
    options = {"num_classes": CLASSES, **architecture.options}
    if architecture.library == "torchvision":
        model = torchvision.models.get_model(architecture.name, weights=None, **options)
    else:
        # Transformers must be told how large the picture is, other networks do not know the word.
        try:
            model = timm.create_model(architecture.name, img_size=architecture.size, **options)
        except TypeError:
            model = timm.create_model(architecture.name, **options)
    return prepared(model, pictures(architecture, 8))


def prepared(model: nn.Module, batch: torch.Tensor) -> nn.Module:
    """Ready for inference, with values in all its weights that matter; `batch` sets the statistics."""
    model.eval()
    for module in model.modules():
        # A tensor that is overwritten cannot be compared afterwards.
        if hasattr(module, "inplace"):
            module.inplace = False
    for parameter in model.parameters():
        parameter.requires_grad_(False)
    enliven(model)
    calibrate(model, batch)
    return model


def pictures(architecture: Architecture, count: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(SEED + 1)
    return torch.randn(count, 3, architecture.size, architecture.size, generator=generator)


def enliven(model: nn.Module) -> None:
    """Gives values to what a constructor sets to a constant or next to nothing (biases, scales of a residual branch, position
    tables), so that a path which is wrong shows in the result."""
    for parameter in model.parameters():
        values = parameter.data
        spread = (values.max() - values.min()).item() if values.numel() else 0.0
        if spread > 0.0:
            continue
        constant = values.flatten()[0].item() if values.numel() else 0.0
        if values.ndim >= 2 and constant == 0.0:
            values.normal_(std=1.0 / math.sqrt(max(values[0].numel(), 1)))
        elif abs(constant) == 0.0 and values.numel() > 1:
            values.normal_(std=0.1)
        else:
            values.uniform_(0.5, 1.0)


def calibrate(model: nn.Module, batch: torch.Tensor) -> None:
    """Sets the statistics of BatchNormalization to those of random pictures, and then a little off them."""
    norms = [module for module in model.modules() if isinstance(module, nn.modules.batchnorm._BatchNorm)]
    for norm in norms:
        norm.train()
        norm.momentum = None
        norm.reset_running_stats()
    with torch.no_grad():
        model(batch)
        for norm in norms:
            norm.eval()
            norm.running_mean += 0.1 * norm.running_var.sqrt() * torch.randn_like(norm.running_mean)
            norm.running_var *= torch.empty_like(norm.running_var).uniform_(0.8, 1.25)


def export(architecture: Architecture, model: nn.Module, path: Path, example: torch.Tensor) -> None:
    """Writes the classifier as one ONNX file; the exporter runs it on `example`."""
    names = {"input_names": ["input"], "output_names": ["scores"], "opset_version": architecture.opset}
    symbolic = architecture.batch == "N"
    if architecture.exporter == "script":
        axes = {"input": {0: "N"}, "scores": {0: "N"}} if symbolic else None
        torch.onnx.export(model, (example,), str(path), dynamo=False, dynamic_axes=axes, **names)
    else:
        shapes = ({0: torch.export.Dim("N")},) if symbolic else None
        torch.onnx.export(model, (example,), str(path), dynamo=True, dynamic_shapes=shapes, external_data=False, verbose=False, **names)
