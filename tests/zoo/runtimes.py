"""Running ONNX graphs: ONNX Runtime in this process, tract and gradlens as programs; one thread, processor time."""

import json
import resource
import subprocess
import time
from pathlib import Path

import numpy as np
import onnxruntime

ROOT = Path(__file__).resolve().parents[2]
PROGRAMS = ROOT / "target" / "release"
PATIENCE = 120
"""Seconds that a program may take."""

onnxruntime.set_default_logger_severity(4)


class Failed(Exception):
    """A step did not work; the message is what its program said."""


def children_seconds() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def call(*command: object) -> tuple[str, float]:
    """Runs a program; returns what it printed and its processor time in milliseconds."""
    before = children_seconds()
    try:
        done = subprocess.run([str(part) for part in command], capture_output=True, text=True, timeout=PATIENCE)
    except subprocess.TimeoutExpired:
        raise Failed(f"not done after {PATIENCE} s") from None
    if done.returncode != 0:
        lines = done.stderr.strip().splitlines() or [f"ended with code {done.returncode}"]
        raise Failed(lines[-1][:600])
    return done.stdout, 1e3 * (children_seconds() - before)


def inspect(model: Path) -> dict:
    return json.loads(call(PROGRAMS / "gradlens", "inspect", "--json", model)[0])


def gradient(model: Path, out: Path) -> float:
    """Writes the gradient graph at the recommended layer and the input; returns the milliseconds it took."""
    return call(PROGRAMS / "gradlens", "gradient", model, "--input", "--out", out)[1]


def tract(graph: Path, inputs: list[np.ndarray], outputs: list[str], folder: Path, rounds: int) -> tuple[dict[str, np.ndarray], float | None]:
    """Runs a graph in tract; `outputs` are the names of all its outputs in order. Returns them and, with rounds, the milliseconds
    of a run."""
    files = []
    for position, values in enumerate(inputs):
        files.append(folder / f"in{position}.npy")
        np.save(files[-1], values)
    text, _ = call(PROGRAMS / "examples" / "run_graph", graph, rounds, folder, *files)
    return {name: np.load(folder / f"{position}.npy") for position, name in enumerate(outputs)}, json.loads(text)["run_ms"]


class OnnxRuntime:
    """A graph in ONNX Runtime."""

    def __init__(self, graph: Path) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        try:
            self.session = onnxruntime.InferenceSession(str(graph), options, providers=["CPUExecutionProvider"])
        except Exception as problem:
            raise Failed(str(problem).splitlines()[0][:600]) from None

    def outputs(self) -> list[str]:
        return [output.name for output in self.session.get_outputs()]

    def run(self, inputs: list[np.ndarray], outputs: list[str] | None = None) -> dict[str, np.ndarray]:
        names = [declared.name for declared in self.session.get_inputs()]
        wanted = outputs or self.outputs()
        try:
            values = self.session.run(wanted, dict(zip(names, inputs, strict=True)))
        except Exception as problem:
            raise Failed(str(problem).splitlines()[0][:600]) from None
        return dict(zip(wanted, values, strict=True))

    def milliseconds(self, inputs: list[np.ndarray], outputs: list[str] | None = None) -> float:
        """The least time of a run; at least three are made."""
        least, spent, rounds = float("inf"), 0.0, 0
        while rounds < 3 or (spent < 0.3 and rounds < 20):
            start = time.process_time()
            self.run(inputs, outputs)
            seconds = time.process_time() - start
            least, spent, rounds = min(least, seconds), spent + seconds, rounds + 1
        return 1e3 * least
