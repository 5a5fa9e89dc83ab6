"""Converts a classifier for TensorFlow.js: `tfjs_convert.py MODEL.onnx FOLDER`.

The ONNX graph is written down in TensorFlow, channels last, and TensorFlow's own converter makes a graph model of it, in which convolutions,
biases and activations are fused. (onnx2tf 1.29 fails at covid-xray with a batch of one; in its mobilenet_v3_large are 27 transpositions, and a
fused HardSwish that TensorFlow.js does not run.)
"""

import os
import sys
import tempfile
from pathlib import Path
from types import ModuleType

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "2"
# The converter imports what it needs for models of other frameworks before it knows that there are none.
for absent in ("tensorflow_decision_forests", "tensorflow_hub", "jax", "jax.experimental", "jax.experimental.jax2tf"):
    sys.modules[absent] = ModuleType(absent)
sys.modules["jax.experimental"].jax2tf = sys.modules["jax.experimental.jax2tf"]

import numpy
import onnx
import tensorflow as tf
from tensorflowjs.converters.tf_saved_model_conversion_v2 import convert_tf_saved_model


def around(pads: list[int]) -> list[list[int]]:
    """ONNX's pads (top, left, bottom, right) for an NHWC tensor."""
    top, left, bottom, right = pads
    return [[0, 0], [top, bottom], [left, right], [0, 0]]


def conv(x, kernels, bias=None, *, group=1, strides=(1, 1), dilations=(1, 1), pads=(0, 0, 0, 0), kernel_shape=None):
    padding = around(pads) if any(pads) else "VALID"
    if group == 1:
        y = tf.nn.conv2d(x, kernels.transpose(2, 3, 1, 0), strides, padding, dilations=dilations)
    elif kernels.shape[:2] == (group, 1):
        y = tf.nn.depthwise_conv2d(x, kernels.transpose(2, 3, 0, 1), [1, *strides, 1], padding, dilations=dilations)
    else:
        raise ValueError(f"a convolution in {group} groups")
    return y if bias is None else tf.nn.bias_add(y, bias)


def max_pool(x, *, kernel_shape, strides, pads=(0, 0, 0, 0), **_):
    if any(pads):
        x = tf.pad(x, around(pads), constant_values=-numpy.inf)
    return tf.nn.max_pool2d(x, kernel_shape, strides, "VALID")


def average_pool(x, *, kernel_shape, strides=(1, 1), pads=(0, 0, 0, 0), count_include_pad=0, **_):
    if any(pads) and count_include_pad:
        return tf.nn.avg_pool2d(tf.pad(x, around(pads)), kernel_shape, strides, "VALID")
    same = list(strides) == [1, 1] and list(pads) == [(side - 1) // 2 for side in kernel_shape] * 2
    if any(pads) and not same:
        raise ValueError("an average pool with a rim that TensorFlow has not")
    return tf.nn.avg_pool2d(x, kernel_shape, strides, "SAME" if any(pads) else "VALID")


def batch_normalization(x, scale, bias, mean, variance, *, epsilon=1e-5, **_):
    factor = scale / numpy.sqrt(variance + numpy.float32(epsilon))
    return x * factor + (bias - mean * factor)


def clip(x, low=-numpy.inf, high=numpy.inf):
    if (low, high) == (0, 6):
        return tf.nn.relu6(x)
    return tf.raw_ops.ClipByValue(t=x, clip_value_min=low, clip_value_max=high)


def gemm(a, b, c, *, transB=0, alpha=1.0, beta=1.0):
    if (alpha, beta) != (1.0, 1.0):
        raise ValueError("a Gemm with factors")
    return tf.nn.bias_add(tf.matmul(a, b.T if transB else b), c)


def hard_sigmoid(x, *, alpha=0.2, beta=0.5):
    return clip(x * alpha + beta, 0.0, 1.0)


RULES = {
    "Add": tf.add,
    "AveragePool": average_pool,
    "BatchNormalization": batch_normalization,
    "Cast": lambda x, *, to: x.astype(onnx.helper.tensor_dtype_to_np_dtype(to)),
    "Clip": clip,
    "Concat": lambda *parts, axis: tf.concat(parts, {1: 3}[axis]),
    "Conv": conv,
    "Flatten": lambda x, axis=1: tf.reshape(x, [1, -1]),
    "Gemm": gemm,
    "GlobalAveragePool": lambda x: tf.reduce_mean(x, [1, 2], keepdims=True),
    "HardSigmoid": hard_sigmoid,
    # Not by way of relu6: TensorFlow would see a HardSwish in it, and fuse it into convolutions as TensorFlow.js does not know them.
    "HardSwish": lambda x: x * hard_sigmoid(x, alpha=1 / 6),
    "MaxPool": max_pool,
    "Mul": tf.multiply,
    "Relu": tf.nn.relu,
    "Softmax": lambda x, axis=-1: tf.nn.softmax(x, axis),
}


def run(graph: onnx.GraphProto, picture: tf.Tensor) -> tf.Tensor:
    """The graph's first output."""
    values = {tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in graph.initializer}
    values[graph.input[0].name] = picture
    for node in graph.node:
        if node.op_type not in RULES:
            raise ValueError(f"no rule for {node.op_type}")
        attributes = {each.name: onnx.helper.get_attribute_value(each) for each in node.attribute}
        inputs = [values[name] for name in node.input]
        values[node.output[0]] = RULES[node.op_type](*inputs, **attributes)
    return values[graph.output[0].name]


def main() -> None:
    graph = onnx.load(sys.argv[1]).graph
    _, channels, height, width = (size.dim_value for size in graph.input[0].type.tensor_type.shape.dim)
    module = tf.Module()
    module.run = tf.function(
        lambda picture: run(graph, picture),
        input_signature=[tf.TensorSpec([1, height, width, channels], name="picture")],
    )
    with tempfile.TemporaryDirectory() as saved:
        tf.saved_model.save(module, saved, module.run.get_concrete_function())
        # One file of weights: nothing is to be put together when it is loaded.
        convert_tf_saved_model(saved, sys.argv[2], weight_shard_size_bytes=2**31)


if __name__ == "__main__":
    main()
