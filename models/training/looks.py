"""Random views of the training X-rays, made once and kept on disk: a frozen front's features of each, and what teachers answer to it.

A teacher that sees the very view that its pupil sees says what is left to see there (Beyer et al. 2022): less where a patch hides
a lung, something else where two X-rays look alike.
"""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from torch.utils.data import Dataset
from tqdm import tqdm

import evaluate
from data import TrainingViews, XRay, sampling_weights
from preprocess import resize

BATCH = 32


def view_of(views: TrainingViews, draw: int, index: int) -> np.ndarray:
    """View number `draw` of an X-ray: the same whenever it is asked for."""
    return views.view(index, np.random.default_rng([views.seed, 7, draw, index]))


def kept(file: Path, views: TrainingViews, draw: int, answer: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
    """What `answer` says to one view of each X-ray, a row each, from its file; made where there is none."""
    if not file.exists():
        rows = []
        for first in tqdm(range(0, len(views.xrays), BATCH), desc=file.stem):
            chosen = range(first, min(first + BATCH, len(views.xrays)))
            rows.append(answer(np.stack([view_of(views, draw, index) for index in chosen])))
        partial = file.with_suffix(".part.npy")
        np.save(partial, np.concatenate(rows))
        partial.replace(file)
    return np.load(file, mmap_mode="r")


def teacher(folder: Path, views: TrainingViews) -> Callable[[np.ndarray], np.ndarray]:
    """A model folder's probabilities of views that were made for another network: resized and scaled as that model wants them."""
    session, recipe = evaluate.load_model(folder)

    def answer(inputs: np.ndarray) -> np.ndarray:
        grey = inputs[:, 0] * views.recipe.std + views.recipe.mean
        seen = np.stack([recipe.normalise(resize(view, recipe.side)) for view in grey])
        return session.run(["probabilities"], {"input": seen})[0]

    return answer


def answers(folders: Sequence[Path], views: TrainingViews, count: int, folder: Path) -> np.ndarray:
    """Mean probabilities of the teachers for `count` views of each X-ray: views x X-rays x classes."""
    each = []
    for source in folders:
        ask = teacher(source, views)
        each.append([kept(folder / f"answers-{source.name}-{draw}.npy", views, draw, ask) for draw in range(count)])
    return np.mean(each, axis=0)


class Features(Dataset):
    """One epoch of kept features: X-rays by their sampling weights, one of each one's views by chance.

    The position that comes with a view counts through views of X-rays: all X-rays' first views, then all second ones.
    """

    def __init__(self, xrays: list[XRay], features: list[np.ndarray], seed: int):
        self.features = features
        self.seed = seed
        self.weights = sampling_weights(xrays)
        self.set_epoch(0)

    def set_epoch(self, epoch: int) -> None:
        rng = np.random.default_rng([self.seed, epoch])
        count = len(self.weights)
        self.order = rng.choice(count, size=count, p=self.weights)
        self.view = rng.integers(len(self.features), size=count)

    def __len__(self) -> int:
        return len(self.order)

    def __getitem__(self, place: int) -> tuple[torch.Tensor, int]:
        index, view = int(self.order[place]), int(self.view[place])
        return torch.from_numpy(np.array(self.features[view][index])), view * len(self.weights) + index
