"""The peers that Python has, told by lines of JSON what to do: `native.py ENGINE THREADS`.

`onnxruntime` runs the ONNX file; `pytorch-grad-cam` runs the same architecture in PyTorch and explains it as its users do.
"""

import gc
import json
import os
import resource
import sys
import time
from collections.abc import Callable

ENGINE, THREADS = sys.argv[1], int(sys.argv[2])


class OnnxRuntime:
    """onnxruntime on one thread, at its best optimisation."""

    def __init__(self) -> None:
        import onnxruntime

        self.runtime = onnxruntime

    def load(self, given: dict) -> None:
        import numpy

        self.session = None
        options = self.runtime.SessionOptions()
        options.intra_op_num_threads = THREADS
        options.inter_op_num_threads = 1
        options.graph_optimization_level = self.runtime.GraphOptimizationLevel.ORT_ENABLE_ALL
        self.session = self.runtime.InferenceSession(given["model"], options, providers=["CPUExecutionProvider"])
        picture = numpy.random.default_rng(0).standard_normal((1, 3, given["size"], given["size"]), dtype="float32")
        self.feeds = {self.session.get_inputs()[0].name: picture}

    def run(self, what: str) -> None:
        self.session.run(None, self.feeds)


class PyTorchGradCam:
    """pytorch-grad-cam at the last convolutional layer."""

    LAYERS = {
        "covid-xray": lambda model: model.bn2,
        "covid-xray-inception": lambda model: model.Mixed_7c,
        "densenet121": lambda model: model.features,
        "mobilenet_v3_large": lambda model: model.features[-1],
        "resnet50": lambda model: model.layer4[-1],
    }

    def __init__(self) -> None:
        import torch

        torch.set_num_threads(THREADS)
        self.torch = torch

    def architecture(self, name: str):
        import timm
        import torchvision

        if name == "covid-xray":
            return timm.create_model("tf_efficientnet_lite0", num_classes=3)
        options = {"aux_logits": False, "init_weights": False} if name == "covid-xray-inception" else {}
        name = "inception_v3" if name == "covid-xray-inception" else name
        return torchvision.models.get_model(name, weights=None, num_classes=3, **options)

    def load(self, given: dict) -> None:
        from pytorch_grad_cam import GradCAM
        from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget

        model = self.architecture(given["name"]).eval()
        for module in model.modules():
            if hasattr(module, "inplace"):
                module.inplace = False
        self.targets = [ClassifierOutputTarget(0)]
        self.cam = GradCAM(model=model, target_layers=[self.LAYERS[given["name"]](model)])
        self.picture = self.torch.randn(1, 3, given["size"], given["size"])

    def run(self, what: str) -> None:
        self.cam(input_tensor=self.picture, targets=self.targets)


def measured(action: Callable[[], None]) -> dict:
    gc.collect()
    wall, cpu = time.perf_counter(), time.process_time()
    action()
    return {"wall": 1000 * (time.perf_counter() - wall), "cpu": 1000 * (time.process_time() - cpu)}


def main() -> None:
    # What libraries print must not stand between the answers.
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    engine = {"onnxruntime": OnnxRuntime, "pytorch-grad-cam": PyTorchGradCam}[ENGINE]()
    given: dict = {}

    def repeat(what: str, count: int) -> None:
        for _ in range(count):
            engine.run(what)

    for line in sys.stdin:
        request = json.loads(line)
        answer: dict = {}
        match request["do"]:
            case "fetch":
                given = request
            case "load":
                answer = measured(lambda: engine.load(given))
            case "run":
                answer = measured(lambda: repeat(request["what"], request["count"]))
            case "memory":
                answer = {"bytes": 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss}
        print(json.dumps(answer), file=answers, flush=True)


if __name__ == "__main__":
    main()
