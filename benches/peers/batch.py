"""Pictures per second of scores and Grad-CAM in PyTorch with pytorch-grad-cam, the peer of `benches/batch.rs`.

Each row does the same work: pixels of a batch to the device, forward, backward, the raw maps at the layer of the last convolution. Time is
the clock's on the wall with the device synchronised; the rows take turns, medians are shown.

    pip install -r benches/peers/requirements.txt && python benches/peers/batch.py [--device cuda]
"""

import argparse
import statistics
import time
from collections.abc import Callable

import numpy as np
import timm
import torch
from pytorch_grad_cam import GradCAM
from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget

MODELS = {
    # timm's name, the layer, the side: the architectures of the shipped classifiers. Speed does not depend on the weights.
    "covid-xray": ("tf_efficientnet_lite0", "bn2", 224),
    "covid-xray-inception": ("inception_v3", "Mixed_7c", 256),
}


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--rounds", type=int, default=7)
    return parser.parse_args()


def network(name: str, layer: str, device: str) -> tuple[torch.nn.Module, torch.nn.Module]:
    torch.manual_seed(1)
    model = timm.create_model(name, pretrained=False, num_classes=3).eval().to(device)
    return model, model.get_submodule(layer)


def peer(cam: GradCAM, pixels: np.ndarray, device: str, dtype: torch.dtype, tf32: bool, last: bool) -> Callable[[], None]:
    """pytorch-grad-cam as it is used: its backward pass runs through all weights."""

    def run() -> None:
        torch.backends.cuda.matmul.allow_tf32 = tf32
        torch.backends.cudnn.allow_tf32 = tf32
        batch = torch.from_numpy(pixels).to(device, dtype)
        batch = batch.to(memory_format=torch.channels_last) if last else batch
        cam(input_tensor=batch, targets=[ClassifierOutputTarget(0)] * len(pixels))

    return run


def autograd(model: torch.nn.Module, layer: torch.nn.Module, pixels: np.ndarray, device: str) -> Callable[[], None]:
    """The least that PyTorch has to do: autograd from the scores to the layer, and the weighted sum."""
    kept = {}
    layer.register_forward_hook(lambda _module, _inputs, output: kept.update(activations=output))

    def run() -> None:
        torch.backends.cuda.matmul.allow_tf32 = False
        torch.backends.cudnn.allow_tf32 = False
        scores = model(torch.from_numpy(pixels).to(device))
        activations = kept["activations"]
        (gradients,) = torch.autograd.grad(scores[:, 0].sum(), activations)
        weights = gradients.mean((2, 3), keepdim=True)
        torch.relu((weights * activations).sum(1)).detach().cpu()

    return run


def timed(run: Callable[[], None], device: str) -> float:
    begun = time.perf_counter()
    run()
    if device == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter() - begun


def main() -> None:
    options = arguments()
    card = torch.cuda.get_device_name() if options.device == "cuda" else f"{torch.get_num_threads()} threads"
    print(f"PyTorch {torch.__version__} on {options.device} ({card}), batches of {options.batch}")
    for ours, (name, layer, side) in MODELS.items():
        pixels = np.random.default_rng(1).standard_normal((options.batch, 3, side, side), dtype=np.float32)
        rows = {}
        model, target = network(name, layer, options.device)
        model.requires_grad_(True)
        rows["pytorch-grad-cam, strict f32"] = peer(GradCAM(model, [target]), pixels, options.device, torch.float32, False, False)
        if options.device == "cuda":
            rows["pytorch-grad-cam, TF32"] = peer(GradCAM(model, [target]), pixels, options.device, torch.float32, True, False)
            half, half_target = network(name, layer, options.device)
            half = half.half().to(memory_format=torch.channels_last)
            rows["pytorch-grad-cam, f16 channels_last"] = peer(
                GradCAM(half, [half_target]), pixels, options.device, torch.float16, True, True
            )
        plain, plain_target = network(name, layer, options.device)
        rows["autograd to the layer, strict f32"] = autograd(plain, plain_target, pixels, options.device)
        if options.device == "cuda":
            compiled, compiled_target = network(name, layer, options.device)
            step = autograd(torch.compile(compiled), compiled_target, pixels, options.device)
            rows["autograd to the layer, strict f32, torch.compile"] = step
        for run in rows.values():
            timed(run, options.device)
        seconds = {row: [] for row in rows}
        for _ in range(options.rounds):
            for row, run in rows.items():
                seconds[row].append(timed(run, options.device))
        for row, times in seconds.items():
            median = statistics.median(times)
            print(f"{ours}: {options.batch / median:.1f} pictures/s (slowest round {options.batch / max(times):.1f}), {row}")


if __name__ == "__main__":
    main()
