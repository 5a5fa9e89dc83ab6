"""Writes ONNX graphs node by node, because tensor names are an interface: a user asks for the heat map of `conv_head` or `mixed10`.

Weights are stored in half precision and cast to single before use. Inputs have one fixed size, so that the padding that
TensorFlow's networks compute from the shape at run time is a constant of each convolution.
"""

import json
from collections.abc import Sequence

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper, numpy_helper

OPSET = 17
IR_VERSION = 8
"""The intermediate representation that came with opset 17 (ONNX 1.12)."""


def same_pads(size: int, kernel: int, stride: int) -> tuple[int, int, int]:
    """TensorFlow's SAME: the padding before and after, the odd pixel after, and the size of the result."""
    result = -(-size // stride)
    total = max((result - 1) * stride + kernel - size, 0)
    return total // 2, total - total // 2, result


def fold(conv: torch.nn.Conv2d, norm: torch.nn.BatchNorm2d) -> tuple[np.ndarray, np.ndarray]:
    """Weight and bias of the convolution that does its batch normalisation too (in double precision, then f32)."""
    scale = 1 / torch.sqrt(norm.running_var.double() + norm.eps)
    if norm.weight is not None:
        scale = scale * norm.weight.double()
    weight = conv.weight.double() * scale[:, None, None, None]
    bias = norm.bias.double() - norm.running_mean.double() * scale
    return weight.detach().float().numpy(), bias.detach().float().numpy()


class GraphWriter:
    """Collects nodes and initializers; a method per kind of layer, each returns the name of its output."""

    def __init__(self, precision: type = np.float16) -> None:
        self.precision = precision
        self.nodes: list[onnx.NodeProto] = []
        self.initializers: list[onnx.TensorProto] = []

    def store(self, name: str, values: np.ndarray) -> str:
        """An initializer as it is; a name that is there already is kept."""
        if all(kept.name != name for kept in self.initializers):
            self.initializers.append(numpy_helper.from_array(np.ascontiguousarray(values), name))
        return name

    def store_short(self, name: str, values: np.ndarray) -> str:
        """An initializer in half precision and its cast to single, whose output bears the parameter's name."""
        short = values.astype(self.precision)
        if not np.isfinite(short).all():
            raise ValueError(f"{name} has values beyond half precision (largest {np.abs(values).max():g})")
        self.store(f"{name}.f16", short)
        return self.node("Cast", [f"{name}.f16"], name, to=TensorProto.FLOAT)

    def node(self, kind: str, inputs: Sequence[str], output: str, **attributes: object) -> str:
        self.nodes.append(helper.make_node(kind, list(inputs), [output], name=f"{output}/{kind}", **attributes))
        return output

    def activate(self, kind: str | None, x: str, output: str) -> str:
        """`Relu`, `Relu6` (a Clip), or nothing, for which `x` must be `output`."""
        if kind == "Relu6":
            low = self.store("relu6.min", np.array(0.0, dtype=np.float32))
            high = self.store("relu6.max", np.array(6.0, dtype=np.float32))
            return self.node("Clip", [x, low, high], output)
        return self.node(kind, [x], output) if kind else x

    def conv(
        self,
        x: str,
        path: str,
        conv: torch.nn.Conv2d,
        norm: torch.nn.BatchNorm2d | None,
        output: str,
        pads: Sequence[int],
        activation: str | None = None,
    ) -> str:
        """Convolution with its normalisation and activation; `output` names what comes last, `pads` are ONNX's."""
        if norm is not None:
            weight, bias = fold(conv, norm)
        else:
            weight, bias = conv.weight.detach().numpy(), conv.bias.detach().numpy()
        linear = self.node(
            "Conv",
            [x, self.store_short(f"{path}.weight", weight), self.store(f"{path}.bias", bias)],
            f"{output}.linear" if activation else output,
            kernel_shape=list(conv.kernel_size),
            strides=list(conv.stride),
            pads=list(pads),
            dilations=list(conv.dilation),
            group=conv.groups,
        )
        return self.activate(activation, linear, output)

    def head(self, x: str, weight: np.ndarray, bias: np.ndarray) -> None:
        """Global average, a linear layer and softmax: `global_pool`, `features`, `logits`, `probabilities`."""
        x = self.node("GlobalAveragePool", [x], "global_pool")
        x = self.node("Flatten", [x], "features", axis=1)
        self.node("Gemm", [x, self.store("classifier.weight", weight), self.store("classifier.bias", bias)], "logits", transB=1)
        self.node("Softmax", ["logits"], "probabilities", axis=1)

    def model(self, name: str, shapes: dict[str, Sequence[int | str]], outputs: Sequence[str], properties: dict[str, object]) -> onnx.ModelProto:
        """The finished, checked model; `shapes` are those of `input` and of the outputs, `properties` its metadata."""

        def info(tensor: str) -> onnx.ValueInfoProto:
            return helper.make_tensor_value_info(tensor, TensorProto.FLOAT, list(shapes[tensor]))

        body = helper.make_graph(self.nodes, name, [info("input")], [info(output) for output in outputs], self.initializers)
        model = helper.make_model(body, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION, producer_name="gradlens")
        texts = {key: value if isinstance(value, str) else json.dumps(value) for key, value in properties.items()}
        helper.set_model_props(model, texts)
        onnx.checker.check_model(model, full_check=True)
        return model
