"""Distortions of grey pictures of any size that hide which archive, film or hand a picture came from.

`retone` and `retexture` take and give values 0..1; the painters work in place on 8-bit pictures.
"""

import math

import cv2
import numpy as np


def retone(grey: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Another film, detector or window: gamma, a random rising curve, and more or less local contrast."""
    grey = np.power(grey, math.exp(rng.uniform(-0.5, 0.5)))
    if rng.random() < 0.5:
        rises = rng.uniform(0.4, 1.6, size=5)
        curve = np.concatenate([[0.0], np.cumsum(rises) / rises.sum()])
        grey = np.interp(grey, np.linspace(0, 1, 6), curve)
    if rng.random() < 0.4:
        blurred = cv2.GaussianBlur(grey, (0, 0), rng.uniform(8, 30))
        grey = grey + rng.uniform(-0.4, 0.7) * (grey - blurred)
    return np.clip(grey, 0.0, 1.0).astype(np.float32)


def retexture(grey: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Another way into the archive: fewer pixels, blur, sharpening, noise, JPEG."""
    if rng.random() < 0.3:
        few = int(rng.integers(96, 200))
        small = cv2.resize(grey, (few, few), interpolation=cv2.INTER_AREA)
        grey = cv2.resize(small, grey.shape[::-1], interpolation=cv2.INTER_LINEAR)
    if rng.random() < 0.4:
        grey = cv2.GaussianBlur(grey, (0, 0), rng.uniform(0.3, 1.4))
    elif rng.random() < 0.4:
        grey = grey + rng.uniform(0.2, 1.2) * (grey - cv2.GaussianBlur(grey, (0, 0), 1.0))
    if rng.random() < 0.4:
        grey = grey + rng.normal(0.0, rng.uniform(0.005, 0.04), grey.shape)
    grey = np.clip(grey, 0.0, 1.0)
    if rng.random() < 0.4:
        quality = int(rng.integers(25, 90))
        _, encoded = cv2.imencode(".jpg", (grey * 255).astype(np.uint8), [cv2.IMWRITE_JPEG_QUALITY, quality])
        grey = cv2.imdecode(encoded, cv2.IMREAD_GRAYSCALE) / 255.0
    return grey.astype(np.float32)


def borders(shape: tuple[int, int], rng: np.random.Generator) -> np.ndarray:
    """Where bars along some of the sides lie, each up to an eighth of the picture wide."""
    rows, columns = shape
    widths = [int(rng.uniform(0, 0.125) * side) if rng.random() < 0.5 else 0 for side in (rows, rows, columns, columns)]
    bars = np.ones(shape, dtype=bool)
    bars[widths[0] : rows - widths[1], widths[2] : columns - widths[3]] = False
    return bars


def paint_borders(grey: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Black, white or grey bars along some of the sides; returns where."""
    value = int(rng.choice([0, 0, 255, rng.integers(256)]))
    bars = borders(grey.shape, rng)
    grey[bars] = value
    return bars


def paint_letters(grey: np.ndarray, rng: np.random.Generator) -> None:
    """One to six characters near the rim, sometimes in a box, as technicians and journals burn them in."""
    letters = "".join(rng.choice(list("LRAPDCBSE12345 "), size=int(rng.integers(1, 7))))
    size, thickness = rng.uniform(0.3, 0.9), int(rng.integers(1, 3))
    (width, height), _ = cv2.getTextSize(letters, cv2.FONT_HERSHEY_SIMPLEX, size, thickness)
    side = min(grey.shape)
    along, rim = rng.uniform(0, 0.9) * side, rng.uniform(0.02, 0.15) * side
    far = side - rim
    place = [(along, rim + height), (along, far), (rim, along + height), (far - width, along + height)][rng.integers(4)]
    x, y = int(place[0]), int(place[1])
    ink = int(rng.choice([255, 255, 200, 0]))
    if rng.random() < 0.3:
        cv2.rectangle(grey, (x - 3, y - height - 3), (x + width + 3, y + 3), 255 - ink, -1)
    cv2.putText(grey, letters, (x, y), cv2.FONT_HERSHEY_SIMPLEX, size, ink, thickness, cv2.LINE_AA)


def paint_stamp(grey: np.ndarray, rng: np.random.Generator) -> None:
    """A word of six to ten letters in a box in some corner, as viewers, journals and archives stamp pictures."""
    word = "".join(rng.choice(list("ABCDEFGHILMNOPRSTUVXY"), size=int(rng.integers(6, 11))))
    side = min(grey.shape)
    size, thickness = side / 256 * rng.uniform(0.35, 0.6), int(rng.integers(1, 3))
    (width, height), below = cv2.getTextSize(word, cv2.FONT_HERSHEY_SIMPLEX, size, thickness)
    gap, rim = int(rng.integers(2, 6)), int(rng.uniform(0.01, 0.04) * side)
    left = rim if rng.random() < 0.5 else grey.shape[1] - rim - width - 2 * gap
    top = rim if rng.random() < 0.3 else grey.shape[0] - rim - height - below - 2 * gap
    ink = 255 if rng.random() < 0.7 else 0
    cv2.rectangle(grey, (left, top), (left + width + 2 * gap, top + height + below + 2 * gap), 255 - ink, -1)
    cv2.putText(grey, word, (left + gap, top + gap + height), cv2.FONT_HERSHEY_SIMPLEX, size, ink, thickness, cv2.LINE_AA)


def soften(grey: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A very coarse or blurred copy: 48 to 128 pixels along the shorter side, and perhaps a blur of up to 2 % of it, and grain."""
    side = min(grey.shape)
    scale = rng.uniform(48, 128) / side
    small = cv2.resize(grey, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    grey = cv2.resize(small, grey.shape[::-1], interpolation=cv2.INTER_CUBIC if rng.random() < 0.5 else cv2.INTER_LINEAR)
    if rng.random() < 0.5:
        grey = cv2.GaussianBlur(grey, (0, 0), side * rng.uniform(0.004, 0.02))
    if rng.random() < 0.6:
        grain = cv2.GaussianBlur(rng.normal(0, 1, grey.shape), (0, 0), side * rng.uniform(0.002, 0.008))
        grey = grey + rng.uniform(0.003, 0.02) * grain / grain.std()
    return np.clip(grey, 0.0, 1.0).astype(np.float32)


def paint_marks(grey: np.ndarray, rng: np.random.Generator) -> None:
    """Arrows, dots and lines anywhere: a reader's marks, electrodes, leads."""
    for _ in range(int(rng.integers(1, 4))):
        start = rng.uniform(0, grey.shape[::-1])
        ink = int(rng.choice([255, 230, 0]))
        kind = rng.integers(3)
        if kind == 0:
            end = start + rng.uniform(-25, 25, 2)
            cv2.arrowedLine(grey, tuple(map(int, start)), tuple(map(int, end)), ink, int(rng.integers(1, 4)), tipLength=0.5)
        elif kind == 1:
            cv2.circle(grey, tuple(map(int, start)), int(rng.integers(2, 6)), ink, -1, cv2.LINE_AA)
        else:
            path = np.cumsum(np.vstack([start, rng.normal(0, 18, (4, 2))]), axis=0).astype(np.int32)
            cv2.polylines(grey, [path], False, 128 + ink // 2, 1, cv2.LINE_AA)


def erase_patches(grey: np.ndarray, rng: np.random.Generator) -> None:
    """Up to three rectangles without content, so that no single place decides."""
    for _ in range(int(rng.integers(1, 4))):
        rows, columns = grey.shape
        width, height = (rng.uniform(0.06, 0.3, 2) * (columns, rows)).astype(int)
        left, top = int(rng.uniform(0, columns - width)), int(rng.uniform(0, rows - height))
        patch = grey[top : top + height, left : left + width]
        patch[:] = patch.mean() if rng.random() < 0.5 else rng.integers(256)
