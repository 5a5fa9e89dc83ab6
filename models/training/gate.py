"""Teaches the segmenter's gate, which tells chest X-rays from everything else: `python models/training/gate.py --pictures FOLDER`.

The segmenter stays as it is: its features of many pictures are computed once, then judged. Three judges are compared on `val`, each
on kinds of pictures that it was not taught: a small network, the distance from chest X-rays, and both.
"""

import argparse
import json
import logging
import os
from collections.abc import Callable
from pathlib import Path

os.environ.setdefault("OMP_WAIT_POLICY", "passive")  # waiting threads must not spin on cores that others need

import numpy as np
import onnxruntime
import torch
from torch.nn import functional
from tqdm import tqdm

from data import DEFAULT_DATA
from gate_pictures import DRAWN, GROUPS, Draw, held_out_photos, held_out_scans, of_files, of_xrays, opencv_files
from lungs_data import cut, develop, random_frame, read_cases, squashed, to_bytes
from lungs_export import CHECKPOINTS, build_model, load_network
from lungs_network import Gate, LungNet
from preprocess import load_grey, normalise

log = logging.getLogger("gate")
KEPT = 0.99
"""Share of the chest X-rays of `val` that must pass."""
SHRINKAGE = 0.1
"""Share of the mean variance in every variance along a principal axis."""
VIEWS = {"train": (2, 120), "val": (1, 40), "test": (1, 60)}
"""Looks at each chest X-ray, and pictures of each other kind, in a split."""
JUDGES = {"head": (1.0, 0.0), "distance": (0.0, 1.0), "sum": (1.0, 1.0)}
"""Shares of the two parts, each in units of its spread over the chest X-rays of `val`."""


def look(grey: np.ndarray, rng: np.random.Generator | None) -> np.ndarray:
    """What the segmenter sees of an 8-bit picture, as it is or (with `rng`) shifted, scaled, turned a little and re-toned."""
    if rng is None or rng.random() < 0.4:
        return squashed(grey.astype(np.float32) / 255.0)
    frame = random_frame(grey.shape, rng, scales=(0.85, 1.2), degrees=8)
    return develop(cut(np.ascontiguousarray(grey), frame, rng), rng, erased=0.1)


class Eye:
    """The segmenter's features as the exported file has them, with its rounded weights."""

    def __init__(self, network: LungNet, threads: int):
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        data = build_model(network, Gate(network.features), outputs=("features",)).SerializeToString()
        self.session = onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])

    def features(self, views: list[np.ndarray], name: str) -> np.ndarray:
        return np.concatenate([self.session.run(["features"], {"input": normalise(view)[None]})[0] for view in tqdm(views, desc=name)])


def collect(eye: Eye, data: Path, split: str, pictures: Path, seed: int) -> dict[str, np.ndarray]:
    """Features by kind of picture: `chest` of the split's X-rays, and other kinds made from them, drawn, or found in files."""
    cases = read_cases(data, split, masked=False)
    xrays = [to_bytes(load_grey(case.path)) for case in cases]
    looks, count = VIEWS.get(split, (1, 0))
    learning = split == "train"

    def rng_of(*key: int) -> np.random.Generator:
        return np.random.default_rng([seed, *split.encode(), *key])

    views = [look(xray, rng_of(0, i, j) if learning else None) for i, xray in enumerate(xrays) for j in range(looks)]
    found = {"chest": eye.features(views, f"{split}, chest")}
    kinds: dict[str, Draw] = {**DRAWN, **of_xrays(lambda rng: xrays[rng.integers(len(xrays))])}
    for kind, files in opencv_files(pictures).items():  # a quarter of the files is for val, none for test
        kinds[kind] = of_files([f for i, f in enumerate(files) if (i % 4 == 0) == (split == "val")])
    if split == "test":
        kinds = {kind: draw for kind, draw in kinds.items() if kind not in ("photo", "screen", "figure")}
        for kind, found_pictures in (("photo", held_out_photos()), ("real slice", held_out_scans())):
            found[kind] = eye.features([look(picture, None) for picture in found_pictures], f"{split}, {kind}")
    for index, (kind, draw) in enumerate(kinds.items(), start=1):
        rngs = [rng_of(index, i) for i in range(count)]
        found[kind] = eye.features([look(draw(rng), rng if learning else None) for rng in rngs], f"{split}, {kind}") if rngs else None
    return {kind: rows for kind, rows in found.items() if rows is not None}


def cached(file: Path, compute: Callable[[], dict[str, np.ndarray]]) -> dict[str, np.ndarray]:
    """Arrays of an earlier run, or computed and kept."""
    if not file.exists():
        file.parent.mkdir(parents=True, exist_ok=True)
        np.savez(file, **compute())
    with np.load(file) as arrays:
        return dict(arrays)


def fit(chest: np.ndarray, others: np.ndarray, seed: int, steps: int = 400) -> Gate:
    """A gate whose two parts are learned from features; their shares are still zero."""
    torch.manual_seed(seed)
    gate = Gate(chest.shape[1])
    mean, spread = chest.mean(0), chest.std(0) + 1e-3
    with torch.no_grad():
        gate.scale.copy_(torch.from_numpy(1 / spread))
        gate.shift.copy_(torch.from_numpy(-mean / spread))
        known = gate.standardise(torch.from_numpy(chest))
        inputs = torch.cat([known, gate.standardise(torch.from_numpy(others))])
        variances, axes = np.linalg.eigh(np.cov(known.numpy(), rowvar=False))
        axes = axes / np.sqrt((1 - SHRINKAGE) * variances + SHRINKAGE * variances.mean())
        gate.whiten.weight.copy_(torch.from_numpy(axes.T))
    wanted = torch.cat([torch.ones(len(chest), 1), torch.zeros(len(others), 1)])
    weights = torch.where(wanted > 0, len(others) / len(chest), 1.0)
    optimiser = torch.optim.AdamW([*gate.narrow.parameters(), *gate.judge.parameters()], lr=3e-3, weight_decay=0.1)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, steps)
    gate.train()
    for _ in range(steps):
        batch = torch.randint(len(inputs), (256,))
        loss = functional.binary_cross_entropy_with_logits(gate.head(inputs[batch]), wanted[batch], weights[batch])
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        schedule.step()
    return gate.eval()


@torch.inference_mode()
def judged(gate: Gate, features: np.ndarray) -> np.ndarray:
    return gate(torch.from_numpy(features)).numpy()[:, 0]


@torch.inference_mode()
def balance(gate: Gate, chest: np.ndarray, judge: str) -> None:
    """Sets the shares of a judge: parts in units of their spread over the chest X-rays of `val`, whose lowest hundredth scores 0."""
    inputs = gate.standardise(torch.from_numpy(chest))
    shares = [share / float(part.std()) for share, part in zip(JUDGES[judge], (gate.head(inputs), gate.distance(inputs)))]
    gate.shares.copy_(torch.tensor([*shares, 0.0]))
    scores = np.sort(judged(gate, chest))
    passing = int(np.floor((1 - KEPT) * len(scores)))
    gate.shares[2] = -float((scores[passing] + scores[max(passing - 1, 0)]) / 2)


def rejected(gate: Gate, found: dict[str, np.ndarray], kinds: list[str]) -> dict[str, float]:
    return {kind: round(float((judged(gate, found[kind]) < 0).mean()), 4) for kind in kinds if kind in found}


def stacked(found: dict[str, np.ndarray], kinds: list[str]) -> np.ndarray:
    return np.concatenate([found[kind] for kind in kinds])


def unseen(train: dict[str, np.ndarray], val: dict[str, np.ndarray], tested: dict[str, np.ndarray], seed: int) -> dict[str, dict[str, float]]:
    """For every judge: the share of each kind that is rejected by a gate that was taught no kind of its group."""
    table: dict[str, dict[str, float]] = {judge: {} for judge in JUDGES}
    for group, kinds in GROUPS.items():
        taught = [kind for kind in train if kind != "chest" and kind not in kinds]
        gate = fit(train["chest"], stacked(train, taught), seed)
        extra = ["real slice"] if group == "slices" else []
        for judge in JUDGES:
            balance(gate, val["chest"], judge)
            table[judge] |= rejected(gate, tested, [*kinds, *extra])
    return table


def kept(gate: Gate, found: dict[str, dict[str, np.ndarray]]) -> dict[str, float]:
    return {split: round(float((judged(gate, found[split]["chest"]) >= 0).mean()), 4) for split in ("val", "test", "external")}


def train(checkpoints: Path, data: Path, pictures: Path, threads: int, seed: int, judge: str = "sum") -> None:
    """Writes gate.pt and gate.json beside the segmenter's best.pt. Nothing is chosen by what `test` and `external` say."""
    eye = Eye(load_network(checkpoints / "best.pt"), threads)
    found = {
        split: cached(checkpoints / f"gate-{split}.npz", lambda: collect(eye, data, split, pictures, seed))
        for split in ("train", "val", "test", "external")
    }
    lessons, val, test = found["train"], found["val"], found["test"]
    result = {"judge": judge, "unseen_kinds_on_val": unseen(lessons, val, val, seed), "unseen_kinds_on_test": unseen(lessons, val, test, seed)}
    for name, row in result["unseen_kinds_on_val"].items():
        log.info("unseen on val, %-8s mean %.3f  %s", name, np.mean(list(row.values())), row)
    gate = fit(lessons["chest"], stacked(lessons, [kind for kind in lessons if kind != "chest"]), seed)
    balance(gate, val["chest"], judge)
    result |= {"kept": kept(gate, found), "pictures_on_test": {kind: len(rows) for kind, rows in test.items()}}
    result["rejected_on_test"] = rejected(gate, test, [kind for kind in test if kind != "chest"])
    torch.save(gate.state_dict(), checkpoints / "gate.pt")
    (checkpoints / "gate.json").write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    log.info("kept %s, rejected %s", result["kept"], result["rejected_on_test"])


def main() -> None:
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(name)s %(message)s", datefmt="%H:%M:%S")
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument("--data", type=Path, default=DEFAULT_DATA, help="folder with manifest.csv and the X-rays")
    parser.add_argument("--pictures", type=Path, required=True, help="folder `opencv` of an unpacked source release of opencv-python")
    parser.add_argument("--checkpoints", type=Path, default=CHECKPOINTS, help="folder of the segmenter's best.pt; the gate's go there too")
    parser.add_argument("--judge", choices=list(JUDGES), default="sum")
    parser.add_argument("--threads", type=int, default=2, help="CPU threads")
    parser.add_argument("--seed", type=int, default=20)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    train(options.checkpoints, options.data, options.pictures, options.threads, options.seed, options.judge)


if __name__ == "__main__":
    main()
