"""What PyTorch says: scores, gradients in double precision, and pytorch-grad-cam's map at the same activation."""

import copy
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pytorch_grad_cam.base_cam
import torch
from pytorch_grad_cam import GradCAM
from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

# Maps are compared as they are computed, not stretched to a range of 0 to 1 and to the picture's size.
pytorch_grad_cam.base_cam.scale_cam_image = lambda cam, target_size=None: cam

SAME = 1e-3
"""Two activations are the same if they differ by less than this part of the maximum."""


@dataclass(frozen=True)
class Layout:
    """How a tensor of PyTorch's holds the map `[N, C, H, W]` of the ONNX graph."""

    name: str
    to_map: Callable[[Tensor], Tensor]


def layouts(tensor: Tensor, shape: tuple[int, ...]) -> list[Layout]:
    """The ways in which `tensor` could hold an activation of this shape."""
    n, c, h, w = shape
    found = []
    if tuple(tensor.shape) == (n, c, h, w):
        found.append(Layout("as it is", lambda t: t))
    if tuple(tensor.shape) == (n, h, w, c):
        found.append(Layout("channels last", lambda t: t.permute(0, 3, 1, 2)))
    if tuple(tensor.shape) == (n, c, h * w):
        found.append(Layout("flat map", lambda t: t.reshape(n, c, h, w)))
    if tensor.ndim == 3 and tensor.shape[0] == n and tensor.shape[2] == c:
        extra = tensor.shape[1] - h * w
        if 0 <= extra <= 16:
            name = f"tokens, {extra} before them" if extra else "tokens"
            found.append(Layout(name, lambda t: t[:, extra:].transpose(1, 2).reshape(n, c, h, w)))
    return found


class Recorder(TorchFunctionMode):
    """Keeps the results of PyTorch's functions that could be the activation."""

    def __init__(self, shape: tuple[int, ...]) -> None:
        super().__init__()
        self.shape = shape
        self.kept: list[Tensor] = []

    def __torch_function__(self, func, types, args=(), kwargs=None):
        result = func(*args, **(kwargs or {}))
        for tensor in result if isinstance(result, tuple | list) else [result]:
            if isinstance(tensor, Tensor) and tensor.requires_grad and layouts(tensor, self.shape):
                self.kept.append(tensor)
        return result


def relative(found: np.ndarray, expected: np.ndarray) -> float:
    """Relative L2 norm of the difference."""
    if found.shape != expected.shape or not np.isfinite(found).all():
        return float("inf")
    norm = np.linalg.norm(expected)
    return float(np.linalg.norm(found.astype(np.float64) - expected) / (norm if norm > 0 else 1.0))


def of_maximum(found: np.ndarray, expected: np.ndarray) -> float:
    """Largest difference, as a part of the largest expected magnitude."""
    if found.shape != expected.shape or not np.isfinite(found).all():
        return float("inf")
    largest = np.abs(expected).max()
    return float(np.abs(found.astype(np.float64) - expected).max() / (largest if largest > 0 else 1.0))


@dataclass
class Gradients:
    """Of `sum(seed * scores)`."""

    scores: np.ndarray
    input: np.ndarray
    candidates: list["Candidate"]
    """The tensors that hold the activation."""


@dataclass
class Candidate:
    """A tensor with the values of the activation: how it holds them, and as `[N, C, H, W]` they and the gradient."""

    layout: str
    activation: np.ndarray
    gradient: np.ndarray


def gradients(model: nn.Module, pixels: Tensor, seed: np.ndarray, activation: np.ndarray) -> Gradients:
    """Autograd, in the precision of `pixels`, at the input and wherever a tensor equals `activation`."""
    x = pixels.clone().requires_grad_()
    with Recorder(activation.shape) as recorder:
        scores = model(x)
    matching = []
    for tensor in recorder.kept:
        for layout in layouts(tensor, activation.shape):
            if of_maximum(layout.to_map(tensor.detach()).numpy(), activation) < SAME:
                matching.append((tensor, layout))
    total = (torch.from_numpy(seed).to(scores.dtype) * scores).sum()
    found = torch.autograd.grad(total, [x, *(tensor for tensor, _ in matching)], allow_unused=True)
    candidates = [
        Candidate(layout.name, layout.to_map(tensor.detach()).numpy(), layout.to_map(gradient).numpy())
        for (tensor, layout), gradient in zip(matching, found[1:], strict=True)
        if gradient is not None
    ]
    candidates.sort(key=lambda candidate: candidate.layout != "as it is")
    return Gradients(scores.detach().numpy(), found[0].numpy(), candidates)


def modules_with(model: nn.Module, pixels: Tensor, activation: np.ndarray) -> list[tuple[str, nn.Module, Layout]]:
    """The modules that run once and whose output equals `activation`."""
    outputs: dict[str, list[Tensor]] = {}

    def keep(name: str) -> Callable:
        # A copy: what follows may write over it.
        return lambda module, given, output: outputs.setdefault(name, []).append(output.clone()) if isinstance(output, Tensor) else None

    handles = [module.register_forward_hook(keep(name)) for name, module in model.named_modules() if name]
    with torch.no_grad():
        model(pixels)
    for handle in handles:
        handle.remove()
    found = []
    for name, module in model.named_modules():
        if len(outputs.get(name, [])) != 1:
            continue
        for layout in layouts(outputs[name][0], activation.shape):
            if of_maximum(layout.to_map(outputs[name][0]).numpy(), activation) < SAME:
                found.append((name, module, layout))
    found.sort(key=lambda match: match[2].name != "as it is")
    return found


def grad_cam(model: nn.Module, module: nn.Module, layout: Layout, pixels: Tensor, classes: list[int]) -> np.ndarray:
    """pytorch-grad-cam's map `[N, H, W]`, in the precision of `pixels`."""
    targets = [ClassifierOutputTarget(index) for index in classes]
    with GradCAM(model, [module], layout.to_map) as method:
        return method(input_tensor=pixels.clone().requires_grad_(), targets=targets)


def cam(activation: np.ndarray, gradient: np.ndarray) -> np.ndarray:
    """Selvaraju et al. 2017, equations 1 and 2."""
    weights = gradient.mean(axis=(2, 3), keepdims=True)
    return np.maximum((weights * activation).sum(axis=1), 0.0)


def double(model: nn.Module) -> nn.Module:
    return copy.deepcopy(model).double()
