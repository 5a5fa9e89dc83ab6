"""Writes the lung segmenter and its gate as one ONNX file with its manifest: `python models/training/lungs_export.py`."""

import argparse
import hashlib
import json
import logging
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import torch

from export import MODELS
from graph_writer import GraphWriter
from lite0 import write_block, write_conv
from lungs_data import SIDE
from lungs_network import GATE_CELL, GATE_STAGES, SKIPS, Gate, LungNet
from preprocess import SMALLEST_COMPONENT, SMALLEST_LUNGS, Recipe

log = logging.getLogger("lungs_export")
FOLDER = MODELS / "lungs"
CHECKPOINTS = Path(__file__).resolve().parent / "checkpoints" / "lungs"
RECIPE = Recipe(side=SIDE, crop="none")
OUTPUTS = ("lungs", "frontal")
NOTICE = (
    "Not for diagnostic use. The lung fields are an estimate for cropping and for checking heat maps, and a picture that passes as a "
    "frontal chest X-ray can still be something else."
)
SOURCES = (
    "ImageNet EfficientNet-Lite0 (Apache-2.0), trained on 239 frontal chest X-rays of the COVID-19 image data collection "
    "(ieee8023/covid-chestxray-dataset) with lung masks by V7 Labs and General Blockchain (CC BY 4.0). The gate also learned from "
    "826 chest X-rays, NIH ChestX-ray8 among them, and from pictures in the sources of OpenCV (Apache-2.0)."
)


class LungWriter(GraphWriter):
    """Writes the segmenter's decoder and the gate."""

    def step(self, x: str, skip: str, size: int, path: str, step: torch.nn.Module) -> tuple[str, int]:
        """Twice the size, the encoder's features beside it, three convolutions."""
        scales = self.store("twice", np.array([1, 1, 2, 2], dtype=np.float32))
        attributes = {"mode": "nearest", "coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"}
        x = self.node("Resize", [x, "", scales], f"{path}.twice", **attributes)
        x, size = self.node("Concat", [x, skip], f"{path}.beside", axis=1), 2 * size
        for name in ("merge", "spread", "mix"):
            layer = getattr(step, name)
            x, size = write_conv(self, x, size, f"{path}.{name}", layer.conv, layer.norm, f"{path}.{name}")
        return x, size

    def enlarged(self, x: str, output: str) -> str:
        """Linearly to twice the size: the mask's edges then lie on whole pixels of the input instead of every other one."""
        return self.node("Resize", [x, "", "twice"], output, mode="linear", coordinate_transformation_mode="half_pixel")

    def parameter(self, name: str, values: torch.Tensor) -> str:
        return self.store(name, values.detach().numpy().astype(np.float32))

    def gate(self, stages: list[str], lungs: str, gate: Gate) -> str:
        """The features, and `frontal` from them."""
        pooled = [self.node("GlobalAveragePool", [stages[stage]], f"gate.pool.{stage}") for stage in GATE_STAGES]
        shares = self.node("Sigmoid", [lungs], "gate.lungs")
        side = [GATE_CELL, GATE_CELL]
        pooled.append(self.node("AveragePool", [shares], "gate.pool.lungs", kernel_shape=side, strides=side))
        rows = [self.node("Flatten", [x], f"{x}.flat", axis=1) for x in pooled]
        x = self.node("Concat", rows, "features", axis=1)
        x = self.node("Mul", [x, self.parameter("gate.scale", gate.scale)], "gate.scaled")
        x = self.node("Add", [x, self.parameter("gate.shift", gate.shift)], "gate.shifted")
        ends = [self.store(f"gate.{name}", np.array(value, dtype=np.float32)) for name, value in (("least", -8.0), ("most", 8.0))]
        known = self.node("Clip", [x, *ends], "gate.known")
        x = self.gemm(known, "gate.narrow", gate.narrow.weight, gate.narrow.bias)
        x = self.node("Relu", [x], "gate.narrow.relu")
        head = self.gemm(x, "gate.judge", gate.judge.weight * gate.shares[0], gate.judge.bias * gate.shares[0] + gate.shares[2])
        x = self.node("MatMul", [known, self.store_short("gate.whiten", gate.whiten.weight.detach().T.contiguous().numpy())], "gate.white")
        x = self.node("Mul", [x, x], "gate.squares")
        x = self.node("ReduceMean", [x], "gate.square", axes=[1], keepdims=1)
        x = self.node("Sqrt", [x], "gate.distance")
        x = self.node("Mul", [x, self.parameter("gate.share", gate.shares[1:2])], "gate.penalty")
        return self.node("Sub", [head, x], "frontal")

    def gemm(self, x: str, path: str, weight: torch.Tensor, bias: torch.Tensor) -> str:
        return self.node("Gemm", [x, self.parameter(f"{path}.weight", weight), self.parameter(f"{path}.bias", bias)], path, transB=1)


@torch.no_grad()
def build_model(network: LungNet, gate: Gate, precision: type = np.float16, outputs: Sequence[str] = OUTPUTS) -> onnx.ModelProto:
    """The segmenter and its gate as ONNX; `precision` float32 is for comparison, and `features` can be an output too."""
    graph = LungWriter(precision)
    x, size = write_conv(graph, "input", SIDE, "conv_stem", network.conv_stem, network.bn1, "conv_stem")
    stages = []
    for stage, blocks in enumerate(network.blocks):
        for index, block in enumerate(blocks):
            x, size = write_block(graph, x, size, f"blocks.{stage}.{index}", block)
        stages.append(x)
    for index, (step, skip) in enumerate(zip(network.decoder, SKIPS)):
        x, size = graph.step(x, stages[skip], size, f"decoder.{index}", step)
    coarse = graph.conv(x, "lungs", network.lungs, None, "lungs.coarse", [0, 0, 0, 0])
    graph.enlarged(coarse, "lungs")
    graph.gate(stages, coarse, gate)
    shapes = {"input": ["N", 3, SIDE, SIDE], "lungs": ["N", 1, SIDE, SIDE], "frontal": ["N", 1], "features": ["N", len(gate.scale)]}
    return graph.model("lungs", shapes, outputs, {"notice": NOTICE})


def manifest(kept_on_val: float) -> dict:
    """What the model's file does not say about itself."""
    return {
        "schema": "gradlens.segmenter/1",
        "id": "lungs",
        "name": "Lung fields and chest X-ray gate, EfficientNet-Lite0",
        "version": "1",
        "input": {"name": "input", "width": SIDE, "height": SIDE, "channels": "rgb"},
        "preprocessing": RECIPE.block(),
        "outputs": {"lungs": "lungs", "frontal": "frontal"},
        "threshold": 0.0,
        "box": {"smallest_part": SMALLEST_COMPONENT, "smallest_lungs": SMALLEST_LUNGS},
        "gate": {"threshold": 0.0, "kept_on_val": kept_on_val},
        "notice": NOTICE,
        "sources": SOURCES,
    }


def largest_difference(network: LungNet, gate: Gate) -> dict[str, float]:
    """Largest differences between ONNX Runtime and PyTorch in f32, on smooth random pictures, of the stored file and of unrounded weights."""
    noise = torch.randn(8, 1, 12, 12, generator=torch.Generator().manual_seed(1))
    grey = torch.nn.functional.interpolate(noise, size=SIDE, mode="bicubic").add(1).div(2).clamp(0, 1)
    inputs = ((grey - RECIPE.mean) / RECIPE.std).expand(-1, 3, -1, -1).contiguous()
    with torch.inference_mode():
        lungs, features = network.look(inputs)
        lungs = torch.nn.functional.interpolate(lungs, scale_factor=2, mode="bilinear", align_corners=False)
        wanted = {"lungs": lungs.numpy(), "frontal": gate(features).numpy()}
    differences = {}
    for name, precision in (("half", np.float16), ("single", np.float32)):
        data = build_model(network, gate, precision).SerializeToString()
        session = onnxruntime.InferenceSession(data, providers=["CPUExecutionProvider"])
        for output, found in zip(wanted, session.run(list(wanted), {"input": inputs.numpy()})):
            differences[f"{output}, {name}"] = float(np.abs(found - wanted[output]).max())
    return differences


def mean_network(files: Sequence[Path]) -> LungNet:
    """The segmenter whose weights are the mean of several best.pt, or those of one."""
    states = [torch.load(file, map_location="cpu", weights_only=True)["average"] for file in files]
    network = LungNet(pretrained=False)
    floats = {name for name, values in states[0].items() if values.dtype.is_floating_point}
    network.load_state_dict({name: torch.stack([s[name] for s in states]).mean(0) if name in floats else states[0][name] for name in states[0]})
    return network.eval()


def load_network(file: Path) -> LungNet:
    """The segmenter of a best.pt, the averaged weights that `val` liked best."""
    return mean_network([file])


def load(checkpoints: Path) -> tuple[LungNet, Gate]:
    """The segmenter and its gate as trained."""
    state = torch.load(checkpoints / "gate.pt", map_location="cpu", weights_only=True)
    gate = Gate(len(state["scale"]))
    gate.load_state_dict(state)
    return load_network(checkpoints / "best.pt"), gate.eval()


def export_checkpoints(checkpoints: Path, folder: Path) -> None:
    """Writes model.onnx and manifest.json."""
    network, gate = load(checkpoints)
    differences = largest_difference(network, gate)
    log.info("largest difference to PyTorch f32: %s", differences)
    if max(value for name, value in differences.items() if "single" in name) > 1e-3:
        raise ValueError(f"the graph disagrees with PyTorch: {differences}")
    data = build_model(network, gate).SerializeToString()
    kept = json.loads((checkpoints / "gate.json").read_text(encoding="utf-8"))["kept"]["val"]
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "model.onnx").write_bytes(data)
    (folder / "manifest.json").write_text(json.dumps(manifest(kept), indent=2) + "\n", encoding="utf-8")
    log.info("model.onnx: %d bytes, sha256 %s", len(data), hashlib.sha256(data).hexdigest())


def main() -> None:
    logging.basicConfig(level=logging.INFO, format="%(name)s %(message)s")
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument("--checkpoints", type=Path, default=CHECKPOINTS)
    parser.add_argument("--out", type=Path, default=FOLDER, help="folder for model.onnx and manifest.json")
    options = parser.parse_args()
    export_checkpoints(options.checkpoints, options.out)


if __name__ == "__main__":
    main()
