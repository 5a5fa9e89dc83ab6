"""Writes the network as ONNX: `python models/training/export.py --checkpoint FILE`.

Eight kinds of operator, without a padding subgraph: see `graph_writer`.
"""

import argparse
import hashlib
import json
import logging
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import torch
from timm.models._efficientnet_blocks import InvertedResidual

from data import CLASSES
from graph_writer import GraphWriter, same_pads
from network import build
from preprocess import MEAN, SIDE, STD, STRETCH

log = logging.getLogger("export")
MODEL_FOLDER = Path(__file__).resolve().parents[1] / "covid-xray"
CHECKPOINT = Path(__file__).resolve().parent / "checkpoints" / "last.pt"
NAMES = {"covid": "Covid-19", "no_finding": "No finding", "pneumonia": "Other pneumonia"}
LAYER = "conv_head"
NOTICE = (
    "Not for diagnostic use. High scores can come from shortcuts in the data instead of disease, and a heat map is not a localisation."
)
SOURCES = (
    "Fine-tuned from ImageNet EfficientNet-Lite0 (Apache-2.0) on 826 frontal chest X-rays of the COVID-19 image data collection "
    "(ieee8023/covid-chestxray-dataset) and NIH ChestX-ray8."
)


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


@torch.no_grad()
def write_graph(network: torch.nn.Module, divisor: float, precision: type = np.float16) -> onnx.ModelProto:
    """The network as ONNX; `divisor` is the temperature, folded into the last layer. `precision` float32 is for comparison."""
    network = network.eval()
    graph = GraphWriter(precision)
    x, size = write_conv(graph, "input", SIDE, "conv_stem", network.conv_stem, network.bn1, "conv_stem")
    for stage, blocks in enumerate(network.blocks):
        for index, block in enumerate(blocks):
            x, size = write_block(graph, x, size, f"blocks.{stage}.{index}", block)
    x, size = write_conv(graph, x, size, "conv_head", network.conv_head, network.bn2, LAYER)
    graph.head(x, (network.classifier.weight / divisor).numpy(), (network.classifier.bias / divisor).numpy())
    scores = {name: ["N", len(CLASSES)] for name in ("logits", "probabilities")}
    shapes = {"input": ["N", 3, SIDE, SIDE]} | scores
    return graph.model("covid-xray", shapes, list(scores), {"labels": CLASSES, "notice": NOTICE})


def manifest() -> dict:
    """What the model's file does not say about itself: labels, preprocessing, the layer to explain."""
    return {
        "schema": "gradlens.model/1",
        "id": "covid-xray",
        "name": "Covid-19 chest X-ray, EfficientNet-Lite0",
        "version": "1",
        "labels": [{"id": label, "name": NAMES[label]} for label in CLASSES],
        "input": {"name": "input", "width": SIDE, "height": SIDE, "channels": "rgb"},
        "preprocessing": {
            "grey": True,
            "crop": "center-square",
            "resize": "triangle",
            "stretch": {"low": STRETCH[0], "high": STRETCH[1]},
            "mean": [MEAN] * 3,
            "std": [STD] * 3,
        },
        "scores": "logits",
        "probabilities": "probabilities",
        "layer": LAYER,
        "notice": NOTICE,
        "sources": SOURCES,
    }


def largest_difference(model: onnx.ModelProto, network: torch.nn.Module, divisor: float) -> dict[str, float]:
    """Largest difference of the logits between ONNX Runtime and PyTorch in f32, on smooth random pictures.

    `half` is the file as stored. `single` is the same graph with unrounded weights: what the graph itself does differently.
    """
    noise = torch.randn(16, 1, 14, 14, generator=torch.Generator().manual_seed(1))
    inputs = torch.nn.functional.interpolate(noise, size=SIDE, mode="bicubic").clamp(-1, 1).expand(-1, 3, -1, -1).contiguous()
    with torch.inference_mode():
        wanted = network.eval()(inputs).numpy() / divisor
    differences = {}
    for name, candidate in (("half", model), ("single", write_graph(network, divisor, np.float32))):
        session = onnxruntime.InferenceSession(candidate.SerializeToString(), providers=["CPUExecutionProvider"])
        found = session.run(["logits"], {"input": inputs.numpy()})[0]
        differences[name] = float(np.abs(found - wanted).max())
    differences["largest_logit"] = float(np.abs(wanted).max())
    return differences


def export_checkpoint(checkpoint: Path, folder: Path) -> None:
    """Writes model.onnx and manifest.json from a checkpoint's averaged weights and its last temperature."""
    state = torch.load(checkpoint, map_location="cpu", weights_only=True)
    network = build(pretrained=False)
    network.load_state_dict(state["average"])
    divisor = state["history"][-1]["temperature"]
    model = write_graph(network, divisor)
    differences = largest_difference(model, network, divisor)
    log.info("largest difference of a logit to PyTorch f32: %s", differences)
    if differences["single"] > 1e-4:
        raise ValueError(f"the graph disagrees with PyTorch by {differences['single']:g}")
    data = model.SerializeToString()
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "model.onnx").write_bytes(data)
    (folder / "manifest.json").write_text(json.dumps(manifest(), indent=2) + "\n", encoding="utf-8")
    log.info("model.onnx: %d bytes, sha256 %s, epoch %d, temperature %.3f", len(data), hashlib.sha256(data).hexdigest(), state["epoch"], divisor)


def main() -> None:
    logging.basicConfig(level=logging.INFO, format="%(name)s %(message)s")
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument("--checkpoint", type=Path, default=CHECKPOINT)
    parser.add_argument("--out", type=Path, default=MODEL_FOLDER, help="folder for model.onnx and manifest.json")
    options = parser.parse_args()
    export_checkpoint(options.checkpoint, options.out)


if __name__ == "__main__":
    main()
