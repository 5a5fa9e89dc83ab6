"""One architecture from its constructor to its row in the table."""

import contextlib
import io
import json
import tempfile
from pathlib import Path

import numpy as np
import onnx
import torch

import exporting
import peer
import runtimes
import truth
from architectures import Architecture
from runtimes import Failed, OnnxRuntime

RELATIVE = 1e-3
"""The relative L2 error that a gradient may have, or twice that of PyTorch's own single precision where it is more."""
MAXIMUM = 1e-4
"""The largest error of a gradient at the layer and of a heat map, as a part of the maximum; likewise."""
NEIGHBOURS = 6
ROUNDS = 2
"""Of the time in tract; a round lasts 200 ms or more."""
FALLBACKS = [("dynamo", 18), ("script", 17), ("dynamo", 20), ("script", 14)]


def export(architecture: Architecture, model: torch.nn.Module, path: Path, row: dict) -> Architecture:
    """Exports the model; where the exporter fails, by another one, which the row then says."""
    failures = []
    for exporter, opset in [(architecture.exporter, architecture.opset), *FALLBACKS]:
        attempt = Architecture(**{**vars(architecture), "exporter": exporter, "opset": opset})
        try:
            # An exporter that fails prints the whole model.
            with contextlib.redirect_stdout(io.StringIO()):
                exporting.export(attempt, model, path, exporting.pictures(attempt, attempt.pictures))
            row["exporter_failures"] = failures
            return attempt
        except Exception as problem:
            failures.append(f"{exporter} {opset}: {type(problem).__name__}: {str(problem).strip().splitlines()[0] if str(problem).strip() else ''}"[:300])
    raise Failed("no exporter: " + "; ".join(failures))


def exported(architecture: Architecture, model: torch.nn.Module, folder: Path, row: dict) -> Path:
    """The model's file, from an earlier call where there is one."""
    path, note = folder / f"{architecture.name}.{architecture.library}.onnx", folder / f"{architecture.name}.{architecture.library}.json"
    asked = {key: repr(value) for key, value in vars(architecture).items()}
    earlier = json.loads(note.read_text()) if note.exists() and path.exists() else {}
    if earlier.get("asked") != asked:
        partial: dict = {}
        taken = export(architecture, model, path, partial)
        earlier = {"asked": asked, "exporter": taken.exporter, "opset": taken.opset, **partial}
        note.write_text(json.dumps(earlier))
    row.update({key: earlier[key] for key in ("exporter", "opset", "exporter_failures")})
    return path


def check(architecture: Architecture, store: Path, *, timed: bool) -> dict:
    """The row; `problem` says what is wrong, if anything is."""
    row: dict = {key: vars(architecture)[key] for key in ("name", "library", "size", "batch", "exporter", "opset")}
    row["step"] = "construction"
    try:
        with tempfile.TemporaryDirectory() as folder:
            fill(row, architecture, store, Path(folder), timed)
    except Failed as problem:
        row["problem"] = f"{row['step']}: {problem}"
    except Exception as problem:
        row["problem"] = f"{row['step']}: {type(problem).__name__}: {str(problem).strip()[:400]}"
    return row


def fill(row: dict, architecture: Architecture, store: Path, folder: Path, timed: bool) -> None:
    model = exporting.build(architecture)
    row["step"] = "export"
    path = exported(architecture, model, store, row)
    forward = onnx.load(path)
    row["operators"] = sorted({node.op_type for node in forward.graph.node})
    row["nodes_forward"] = len(forward.graph.node)
    row["megabytes"] = path.stat().st_size / 1e6
    del forward

    row["step"] = "onnxruntime, forward"
    pixels = exporting.pictures(architecture, architecture.pictures)
    x = pixels.numpy()
    plain = OnnxRuntime(path)
    if timed:
        row["ort_forward_ms"] = plain.milliseconds([x])

    row["step"] = "gradlens inspect"
    description = runtimes.inspect(path)
    layer = description["layer"]
    row["layer"] = layer
    row["reason"] = next(known["reason"] for known in description["layers"] if known["name"] == layer)
    row["layer_operator"] = next(known["operator"] for known in description["layers"] if known["name"] == layer)
    row["without_rule"] = description["operators_without_rule"]

    row["step"] = "gradlens gradient"
    out = folder / "gradient.onnx"
    row["make_ms"] = runtimes.gradient(path, out)
    written = onnx.load(out)
    row["nodes_total"] = len(written.graph.node)
    row["gradient_megabytes"] = out.stat().st_size / 1e6
    row["step"] = "onnx.checker"
    onnx.checker.check_model(written, full_check=True)
    foreign = {node.op_type for node in written.graph.node if node.domain not in ("", "ai.onnx")}
    if foreign:
        raise Failed(f"operators of other domains: {foreign}")
    del written

    answers: dict[str, dict[str, np.ndarray]] = {}
    scores = plain.run([x])["scores"]
    classes = scores.argmax(axis=1).tolist()
    seed = np.eye(scores.shape[1], dtype=np.float32)[classes]
    row["step"] = "onnxruntime"
    graph = OnnxRuntime(out)
    answers["ort"] = graph.run([x, seed])
    if timed:
        row["ort_both_ms"] = graph.milliseconds([x, seed], ["scores", "gradient/input"])
    outputs = graph.outputs()
    del plain, graph

    row["step"] = "PyTorch"
    activation = answers["ort"][f"activation/{layer}"]
    row["map"] = list(activation.shape[1:])
    judge = Judge(model, pixels, seed, classes, activation)
    row["own"], row["cam_by"], row["layout"] = judge.own, judge.cam_by, judge.layout
    row["errors"] = {"ort": judge.errors(answers["ort"], layer)}

    row["step"] = "tract, forward"
    problems = []
    try:
        if timed:
            _, row["tract_forward_ms"] = runtimes.tract(path, [x], ["scores"], folder, ROUNDS)
        row["step"] = "tract"
        answers["tract"], milliseconds = runtimes.tract(out, [x, seed], outputs, folder, ROUNDS if timed else 0)
        if timed:
            row["tract_both_ms"] = milliseconds
        row["errors"]["tract"] = judge.errors(answers["tract"], layer)
    except Failed as problem:
        problems.append(f"{row['step']}: {problem}")
    for runtime, errors in row["errors"].items():
        if any(not error <= judge.bound(what) for what, error in errors.items()) and "near" not in row:
            row["near"] = judge.near()
        allowed = {what: max(judge.bound(what), 2.0 * row.get("near", {}).get(what, 0.0)) for what in errors}
        wrong = [f"{what} {error:.1e}" for what, error in errors.items() if not error <= allowed[what]]
        if wrong:
            problems.append(f"{runtime} is off: {', '.join(wrong)}")
    if timed:
        row["step"] = "onnx-ad"
        bound = max(judge.bound("input"), 2.0 * (row.get("near") or judge.near())["input"])
        row["peer"] = peer.judge(path, folder, x, seed, judge.exact.input, bound)
    if problems:
        row["problem"] = "; ".join(problems)


class Judge:
    """PyTorch's answers for one model, and how far others are from them."""

    def __init__(self, model: torch.nn.Module, pixels: torch.Tensor, seed: np.ndarray, classes: list[int], activation: np.ndarray) -> None:
        self.single, self.pixels, self.seed, self.activation = model, pixels, seed, activation
        single = truth.gradients(model, pixels, seed, activation)
        model = truth.double(model)
        pixels = pixels.double()
        self.exact = truth.gradients(model, pixels, seed, activation)
        if not self.exact.candidates:
            raise Failed("no tensor of PyTorch's equals the activation")
        first = self.exact.candidates[0]
        self.layout = first.layout
        self.own = {"input": truth.relative(single.input, self.exact.input), "scores": truth.of_maximum(single.scores, self.exact.scores)}
        if len(single.candidates) == len(self.exact.candidates):
            rough = single.candidates[0]
            self.own["layer"] = truth.relative(rough.gradient, first.gradient)
            self.own["layer_max"] = truth.of_maximum(rough.gradient, first.gradient)
            maps = [truth.cam(each.activation, each.gradient) for each in (rough, first)]
            self.own["cam"] = truth.of_maximum(*maps)
        matching = truth.modules_with(model, pixels, activation)
        if matching:
            name, module, layout = matching[0]
            self.cam = truth.grad_cam(model, module, layout, pixels, classes)
            self.cam_by = name
        else:
            self.cam = truth.cam(first.activation, first.gradient)
            self.cam_by = None

    def errors(self, answers: dict[str, np.ndarray], layer: str) -> dict[str, float]:
        gradient = answers[f"gradient/{layer}"]
        # Where several tensors hold the activation (a branch reads a view of it), ours is the gradient of one of them.
        at_layer = min((truth.of_maximum(gradient, one.gradient), truth.relative(gradient, one.gradient)) for one in self.exact.candidates)
        return {
            "scores": truth.of_maximum(answers["scores"], self.exact.scores),
            "layer": at_layer[1],
            "layer_max": at_layer[0],
            "input": truth.relative(answers["gradient/input"], self.exact.input),
            "cam": truth.of_maximum(truth.cam(answers[f"activation/{layer}"], gradient), self.cam),
        }

    def near(self) -> dict[str, float]:
        """The largest error of PyTorch's own single precision, at the input and of the map, among pictures that differ from this
        one by a millionth: how much it moves them that a ReLU opens or closes by rounding."""
        generator = torch.Generator().manual_seed(exporting.SEED)
        found = {"input": 0.0, "cam": 0.0}
        first = self.exact.candidates[0]
        for _ in range(NEIGHBOURS):
            noise = 1e-6 * torch.randn(self.pixels.shape, generator=generator)
            single = truth.gradients(self.single, self.pixels + noise, self.seed, self.activation)
            found["input"] = max(found["input"], truth.relative(single.input, self.exact.input))
            if len(single.candidates) == len(self.exact.candidates):
                maps = [truth.cam(each.activation, each.gradient) for each in (single.candidates[0], first)]
                found["cam"] = max(found["cam"], truth.of_maximum(*maps))
        return found

    def bound(self, what: str) -> float:
        least = RELATIVE if what in ("layer", "input") else MAXIMUM
        return max(least, 2.0 * self.own.get(what, 0.0))
