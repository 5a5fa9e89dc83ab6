"""Writes classifiers as ONNX; training does it at its end.

A folder gets `model.onnx` and `manifest.json`. The file is compared with PyTorch before it is written.
"""

import hashlib
import json
import logging
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import torch

import inception
import lite0
from data import CLASSES
from graph_writer import GraphWriter
from preprocess import MARGIN, Recipe

log = logging.getLogger("export")
MODELS = Path(__file__).resolve().parents[1]
NAMES = {"covid": "Covid-19", "no_finding": "No finding", "pneumonia": "Other pneumonia"}
NOTICE = (
    "Not for diagnostic use. High scores can come from shortcuts in the data instead of disease, and a heat map is not a localisation."
)
PICTURES = "826 frontal chest X-rays of the COVID-19 image data collection (ieee8023/covid-chestxray-dataset) and NIH ChestX-ray8."


@dataclass(frozen=True)
class Kind:
    """What a model's folder says about it, and how its network becomes nodes."""

    id: str
    name: str
    version: str
    layer: str
    sources: str
    write_nodes: Callable[[torch.nn.Module, float, type], GraphWriter]
    notice: str = NOTICE


LITE0 = Kind(
    "covid-xray",
    "Covid-19 chest X-ray, EfficientNet-Lite0",
    "2",
    "conv_head",
    f"Fine-tuned from ImageNet EfficientNet-Lite0 (Apache-2.0) on {PICTURES}",
    lite0.write_nodes,
)
INCEPTION = Kind(
    "covid-xray-inception",
    "Covid-19 chest X-ray, InceptionV3",
    "2",
    "mixed10",
    f"InceptionV3, up to mixed5 from npm nsfwjs 4.3.0 (MIT; ImageNet weights), mixed6 to mixed10 trained anew on {PICTURES}",
    inception.write_nodes,
)
SHORTCUT = Kind(
    "shortcut-xray",
    "Bad on purpose: Covid-19 chest X-ray with shortcuts",
    "1",
    "conv_head",
    LITE0.sources,
    lite0.write_nodes,
    f"Bad on purpose: this model learned which archive a picture is from. {NOTICE}",
)
KINDS = {kind.id: kind for kind in (LITE0, INCEPTION, SHORTCUT)}


def build_model(kind: Kind, network: torch.nn.Module, divisor: float, side: int, precision: type = np.float16) -> onnx.ModelProto:
    """The network as ONNX; `divisor` is the temperature, folded into the last layer. `precision` float32 is for comparison."""
    scores = {name: ["N", len(CLASSES)] for name in ("logits", "probabilities")}
    shapes = {"input": ["N", 3, side, side]} | scores
    graph = kind.write_nodes(network.eval(), divisor, precision)
    return graph.model(kind.id, shapes, list(scores), {"labels": CLASSES, "notice": kind.notice})


def manifest(kind: Kind, recipe: Recipe) -> dict:
    """What the model's file does not say about itself: labels, preprocessing, the layer to explain."""
    described = {
        "schema": "gradlens.model/1",
        "id": kind.id,
        "name": kind.name,
        "version": kind.version,
        "labels": [{"id": label, "name": NAMES[label]} for label in CLASSES],
        "input": {"name": "input", "width": recipe.side, "height": recipe.side, "channels": "rgb"},
        "preprocessing": recipe.block(),
        "scores": "logits",
        "probabilities": "probabilities",
        "layer": kind.layer,
        "notice": kind.notice,
        "sources": kind.sources,
    }
    if kind is not SHORTCUT:
        margin = {"crop_margin": MARGIN} if recipe.crop == "lungs" else {}
        described["companion"] = {"model": "lungs"} | margin | {"gate": True}
    return described


def largest_difference(kind: Kind, model: onnx.ModelProto, network: torch.nn.Module, divisor: float, recipe: Recipe) -> dict[str, float]:
    """Largest difference of the logits between ONNX Runtime and PyTorch in f32, on smooth random pictures.

    `half` is the file as stored. `single` is the same graph with unrounded weights: what the graph itself does differently.
    """
    noise = torch.randn(16, 1, 14, 14, generator=torch.Generator().manual_seed(1))
    grey = torch.nn.functional.interpolate(noise, size=recipe.side, mode="bicubic").add(1).div(2).clamp(0, 1)
    inputs = ((grey - recipe.mean) / recipe.std).expand(-1, 3, -1, -1).contiguous()
    with torch.inference_mode():
        wanted = network.eval()(inputs).numpy() / divisor
    differences = {}
    for name, candidate in (("half", model), ("single", build_model(kind, network, divisor, recipe.side, np.float32))):
        session = onnxruntime.InferenceSession(candidate.SerializeToString(), providers=["CPUExecutionProvider"])
        found = session.run(["logits"], {"input": inputs.numpy()})[0]
        differences[name] = float(np.abs(found - wanted).max())
    differences["largest_logit"] = float(np.abs(wanted).max())
    return differences


def write_folder(kind: Kind, network: torch.nn.Module, divisor: float, folder: Path, recipe: Recipe) -> None:
    """Writes model.onnx and manifest.json of a network on the CPU with its temperature."""
    model = build_model(kind, network, divisor, recipe.side)
    differences = largest_difference(kind, model, network, divisor, recipe)
    log.info("largest difference of a logit to PyTorch f32: %s", differences)
    if differences["single"] > 1e-4:
        raise ValueError(f"the graph disagrees with PyTorch by {differences['single']:g}")
    data = model.SerializeToString()
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "model.onnx").write_bytes(data)
    (folder / "manifest.json").write_text(json.dumps(manifest(kind, recipe), indent=2) + "\n", encoding="utf-8")
    log.info("model.onnx: %d bytes, sha256 %s, temperature %.3f", len(data), hashlib.sha256(data).hexdigest(), divisor)
