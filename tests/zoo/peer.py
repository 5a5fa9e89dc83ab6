"""The same gradient by onnx-ad, the other program that writes one as ONNX: https://github.com/yacoda/onnx-ad"""

import sys
from pathlib import Path

import numpy as np
import onnx
from onnx import version_converter

from runtimes import Failed, OnnxRuntime, call
from truth import relative


def judge(model: Path, folder: Path, pixels: np.ndarray, seed: np.ndarray, expected: np.ndarray, bound: float) -> dict:
    """Its gradient at the input: size, time and error. `problem` where there is none, or a wrong one."""
    out = folder / "peer.onnx"
    row: dict = {}
    try:
        try:
            row["make_ms"] = reverse(model, out)
        except Failed as problem:
            row["as_it_is"] = str(problem)
            easy = folder / "easy.onnx"
            easier(model, easy, pixels.shape)
            row["make_ms"] = reverse(easy, out)
        row["nodes"] = len(onnx.load(out, load_external_data=False).graph.node)
        graph = OnnxRuntime(out)
        inputs = [pixels, seed[:, :, None]]
        answer = graph.run(inputs, ["adj_input"])["adj_input"]
        row["error"] = relative(answer[..., 0], expected)
        row["ort_ms"] = graph.milliseconds(inputs, ["adj_input"])
        if not row["error"] <= bound:
            row["problem"] = f"its gradient is off by {row['error']:.1e}"
    except Failed as problem:
        row["problem"] = str(problem)
    except Exception as problem:
        row["problem"] = f"{type(problem).__name__}: {problem}"[:300]
    return row


def easier(model: Path, out: Path, shape: tuple[int, ...]) -> None:
    """The same model in the form that it asks for: a fixed batch, every shape declared, opset 17 or newer."""
    proto = onnx.load(model)
    if proto.opset_import[0].version < 17:
        proto = version_converter.convert_version(proto, 17)
    del proto.graph.value_info[:]
    for value, sizes in ((proto.graph.input[0], shape), (proto.graph.output[0], shape[:1])):
        for dimension, size in zip(value.type.tensor_type.shape.dim, sizes):
            dimension.dim_value = size
    onnx.save(onnx.shape_inference.infer_shapes(proto, data_prop=True), out)


def reverse(model: Path, out: Path) -> float:
    """Writes its gradient graph; returns the milliseconds it took."""
    return call(sys.executable, "-m", "onnx_ad", "reverse", model, out, "--inputs", "input", "--outputs", "scores", "--layout", "onnx")[1]
