"""The peers that Python has, told by lines of JSON what to do: `native.py ENGINE THREADS`.

`onnxruntime` runs the ONNX file; `pytorch-grad-cam` runs the same architecture in PyTorch and explains it as its users do;
`pytorch-autograd` explains it with a few lines by hand, whose backward pass goes no further than the layer.
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
    """onnxruntime at its best optimisation."""

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


class PyTorch:
    """The architecture in PyTorch, and the last layer that has maps."""

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
        model = self.architecture(given["name"]).eval()
        for module in model.modules():
            if hasattr(module, "inplace"):
                module.inplace = False
        self.picture = self.torch.randn(1, 3, given["size"], given["size"])
        self.explain(model, self.LAYERS[given["name"]](model))


class PyTorchGradCam(PyTorch):
    """pytorch-grad-cam."""

    def explain(self, model, layer) -> None:
        from pytorch_grad_cam import GradCAM
        from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget

        self.targets = [ClassifierOutputTarget(0)]
        self.cam = GradCAM(model=model, target_layers=[layer])

    def run(self, what: str) -> None:
        self.cam(input_tensor=self.picture, targets=self.targets)


class PyTorchAutograd(PyTorch):
    """A forward pass, and the gradient of a logit with respect to the layer's maps alone."""

    def explain(self, model, layer) -> None:
        # No gradient is kept for what lies before the layer.
        model.requires_grad_(False)
        self.model = model

        def keep(_module, _inputs, maps):
            self.maps = maps.detach().requires_grad_()
            # A copy, since some architectures change the maps in place.
            return self.maps.clone()

        layer.register_forward_hook(keep)

    def run(self, what: str) -> None:
        logit = self.model(self.picture)[0, 0]
        (gradient,) = self.torch.autograd.grad(logit, self.maps)
        cam = self.torch.relu((gradient.mean((2, 3), keepdim=True) * self.maps).sum(1))
        size = tuple(self.picture.shape[2:])
        self.torch.nn.functional.interpolate(cam[None], size, mode="bilinear").detach().numpy()


def measured(action: Callable[[], None]) -> dict:
    gc.collect()
    wall, cpu = time.perf_counter(), time.process_time()
    action()
    return {"wall": 1000 * (time.perf_counter() - wall), "cpu": 1000 * (time.process_time() - cpu)}


def main() -> None:
    # What libraries print must not stand between the answers.
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    engines = {"onnxruntime": OnnxRuntime, "pytorch-autograd": PyTorchAutograd, "pytorch-grad-cam": PyTorchGradCam}
    engine = engines[ENGINE]()
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
