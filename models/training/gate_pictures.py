"""Pictures that are no upright frontal chest X-ray: the gate's lessons and its tests.

Every kind is a function from a random generator to one 8-bit grey picture. Some are drawn, some spoil an X-ray, and some come from the
packages that a training installs anyway. None of them shows a lateral chest X-ray: there is none here, so that kind stays untested.
"""

import gzip
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from lungs_data import to_bytes
from preprocess import load_grey

Draw = Callable[[np.random.Generator], np.ndarray]

GROUPS = {
    "photographs": ("photo",),
    "documents": ("page", "plot", "screen", "figure"),
    "patterns": ("noise", "gradient"),
    "turned X-rays": ("on its side", "upside down"),
    "negatives": ("negative",),
    "parts of X-rays": ("zoomed", "lower part", "upper part"),
    "montages": ("collage", "shuffled"),
    "slices": ("trunk slice", "head slice"),
}
"""Kinds that are alike: a fair test of an unseen kind leaves out its whole group."""


def size(rng: np.random.Generator) -> tuple[int, int]:
    """Rows and columns as pictures have them: a longer side of 256 to 512, square or up to 1.6 times as long as wide."""
    longer, shorter = int(rng.integers(256, 513)), rng.choice([1.0, rng.uniform(0.62, 1.0)])
    rows, columns = longer, int(longer * shorter)
    return (rows, columns) if rng.random() < 0.5 else (columns, rows)


def smooth_noise(shape: tuple[int, int], power: float, rng: np.random.Generator) -> np.ndarray:
    """Noise with a spectrum of 1 / frequency ** power, 0..1: white at 0, clouds at 2."""
    rows, columns = np.fft.fftfreq(shape[0])[:, None], np.fft.rfftfreq(shape[1])[None]
    frequency = np.hypot(rows * shape[0], columns * shape[1])
    frequency[0, 0] = np.inf
    spectrum = np.fft.rfft2(rng.normal(size=shape)) / frequency ** power if power else np.fft.rfft2(rng.normal(size=shape))
    noise = np.fft.irfft2(spectrum, s=shape)
    low, high = np.percentile(noise, [0.5, 99.5])
    return np.clip((noise - low) / (high - low), 0, 1).astype(np.float32)


def noise(rng: np.random.Generator) -> np.ndarray:
    return to_bytes(smooth_noise(size(rng), float(rng.choice([0.0, 1.0, 1.5, 2.0])), rng))


def gradient(rng: np.random.Generator) -> np.ndarray:
    """Ramps, rings, stripes, chequers and flat areas."""
    rows, columns = size(rng)
    y, x = np.mgrid[0:rows, 0:columns].astype(np.float32)
    angle, period = rng.uniform(0, np.pi), rng.uniform(12, 160)
    along = np.cos(angle) * x + np.sin(angle) * y
    rings = np.hypot(x - rng.uniform(0, columns), y - rng.uniform(0, rows))
    chequers = (np.floor(x / period) + np.floor(y / period)) % 2
    picture = [along, rings, np.sin(along / period * 2 * np.pi), np.sin(rings / period * 2 * np.pi), chequers, 0 * x][rng.integers(6)]
    span = np.ptp(picture)
    return to_bytes((picture - picture.min()) / span if span else np.full_like(picture, rng.random()))


def words(rng: np.random.Generator) -> str:
    return " ".join("".join(rng.choice(list("abcdefghiklmnoprstuvwy"), size=int(rng.integers(2, 9)))) for _ in range(12))


def page(rng: np.random.Generator) -> np.ndarray:
    """A page of text, dark on light or light on dark, with or without a picture's place."""
    rows, columns = size(rng)
    paper, ink = (int(rng.integers(200, 256)), int(rng.integers(0, 80)))
    picture = np.full((rows, columns), paper, np.uint8)
    scale, left = rng.uniform(0.3, 0.8), int(rng.uniform(0.02, 0.15) * columns)
    step = int(34 * scale) + int(rng.integers(2, 8))
    for base in range(int(rng.uniform(0.02, 0.2) * rows) + step, rows, step):
        if rng.random() < 0.9:
            cv2.putText(picture, words(rng), (left, base), cv2.FONT_HERSHEY_SIMPLEX, scale, ink, 1, cv2.LINE_AA)
    picture[:, columns - left :] = paper
    if rng.random() < 0.4:
        top, height = int(rng.uniform(0.1, 0.5) * rows), int(rng.uniform(0.2, 0.4) * rows)
        picture[top : top + height, left : columns - left] = rng.integers(256)
    return 255 - picture if rng.random() < 0.3 else picture


def plot(rng: np.random.Generator) -> np.ndarray:
    """Axes with curves, bars or points."""
    rows, columns = size(rng)
    picture = np.full((rows, columns), 255, np.uint8)
    left, base = int(0.12 * columns), int(0.88 * rows)
    cv2.line(picture, (left, int(0.08 * rows)), (left, base), 0, 1)
    cv2.line(picture, (left, base), (int(0.95 * columns), base), 0, 1)
    xs = np.linspace(left, 0.95 * columns, int(rng.integers(6, 60)))
    for _ in range(int(rng.integers(1, 4))):
        ys = base - (base - 0.1 * rows) * np.clip(np.cumsum(rng.normal(0, 0.12, len(xs))) + rng.random(), 0, 1)
        points, ink, kind = np.stack([xs, ys], 1).astype(np.int32), int(rng.integers(0, 200)), rng.integers(3)
        if kind == 0:
            cv2.polylines(picture, [points], False, ink, int(rng.integers(1, 4)), cv2.LINE_AA)
        for x, y in points if kind else []:
            corner = (int(x + 0.5 * (xs[1] - xs[0])), base)
            cv2.circle(picture, (int(x), int(y)), 3, ink, -1) if kind == 1 else cv2.rectangle(picture, (int(x), int(y)), corner, ink, -1)
    cv2.putText(picture, words(rng)[:24], (left, int(0.06 * rows)), cv2.FONT_HERSHEY_SIMPLEX, 0.5, 0, 1, cv2.LINE_AA)
    return 255 - picture if rng.random() < 0.2 else picture


def ellipse(canvas: np.ndarray, centre: tuple[float, float], axes: tuple[float, float], value: float, rng: np.random.Generator) -> None:
    """A filled ellipse with a wavering outline; centre and half-axes in pixels."""
    angles = np.linspace(0, 2 * np.pi, 90, endpoint=False)
    waver = 1 + sum(rng.normal(0, 0.03) * np.cos(k * angles + rng.uniform(0, 6.3)) for k in range(2, 6))
    outline = np.stack([centre[0] + axes[0] * waver * np.cos(angles), centre[1] + axes[1] * waver * np.sin(angles)], 1)
    cv2.fillPoly(canvas, [outline.astype(np.int32)], float(value), cv2.LINE_AA)


def finish_slice(canvas: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Organs' texture, blur, noise and a window."""
    inside = canvas > 0.02
    canvas = canvas + inside * rng.uniform(0.0, 0.15) * (smooth_noise(canvas.shape, 1.2, rng) - 0.5)
    canvas = cv2.GaussianBlur(canvas, (0, 0), rng.uniform(0.6, 2.0)) + rng.normal(0, rng.uniform(0.003, 0.03), canvas.shape)
    return to_bytes(np.clip(canvas * rng.uniform(0.8, 1.3), 0, 1))


def trunk_slice(rng: np.random.Generator) -> np.ndarray:
    """An axial CT or MR slice of the chest or the belly, drawn: rim of fat, lungs or organs, spine, ribs."""
    rows, columns = size(rng)
    canvas = np.zeros((rows, columns), np.float32)
    x, y = columns * rng.uniform(0.46, 0.54), rows * rng.uniform(0.46, 0.54)
    wide, tall = columns * rng.uniform(0.36, 0.48), rows * rng.uniform(0.28, 0.42)
    fat, muscle, bone = rng.uniform(0.15, 0.9), rng.uniform(0.4, 0.6), rng.uniform(0.5, 1.0)
    ellipse(canvas, (x, y), (wide, tall), fat, rng)
    ellipse(canvas, (x, y), (wide * 0.9, tall * 0.88), muscle, rng)
    if rng.random() < 0.6:
        for side in (-1, 1):
            ellipse(canvas, (x + side * wide * 0.46, y), (wide * 0.34, tall * 0.68), rng.uniform(0.02, 0.12), rng)
        ellipse(canvas, (x + wide * rng.uniform(-0.05, 0.15), y - tall * 0.1), (wide * 0.28, tall * 0.35), muscle * rng.uniform(0.9, 1.4), rng)
    else:
        for _ in range(int(rng.integers(4, 10))):
            place = (x + rng.uniform(-0.6, 0.6) * wide, y + rng.uniform(-0.55, 0.4) * tall)
            ellipse(canvas, place, (wide * rng.uniform(0.08, 0.35), tall * rng.uniform(0.08, 0.35)), rng.uniform(0.1, 0.95), rng)
    ellipse(canvas, (x, y + tall * 0.62), (wide * 0.13, tall * 0.17), bone, rng)
    ellipse(canvas, (x, y + tall * 0.72), (wide * 0.05, tall * 0.07), muscle, rng)
    for angle in np.linspace(0, 2 * np.pi, int(rng.integers(8, 18)), endpoint=False) + rng.random():
        place = (x + wide * 0.86 * np.cos(angle), y + tall * 0.84 * np.sin(angle))
        ellipse(canvas, place, (wide * 0.05, tall * 0.035), bone, rng)
    return finish_slice(canvas, rng)


def head_slice(rng: np.random.Generator) -> np.ndarray:
    """An axial slice of a head, drawn: skull, brain, ventricles."""
    rows, columns = size(rng)
    canvas = np.zeros((rows, columns), np.float32)
    x, y = columns / 2 * rng.uniform(0.94, 1.06), rows / 2 * rng.uniform(0.94, 1.06)
    wide, tall = columns * rng.uniform(0.3, 0.44), rows * rng.uniform(0.36, 0.47)
    ellipse(canvas, (x, y), (wide, tall), rng.uniform(0.3, 0.7), rng)
    ellipse(canvas, (x, y), (wide * 0.95, tall * 0.95), rng.choice([0.95, 0.05]), rng)
    ellipse(canvas, (x, y), (wide * 0.87, tall * 0.88), rng.uniform(0.35, 0.6), rng)
    for side in (-1, 1):
        ellipse(canvas, (x + side * wide * 0.14, y), (wide * 0.08, tall * rng.uniform(0.15, 0.35)), rng.choice([0.1, 0.8]), rng)
    for _ in range(int(rng.integers(0, 6))):
        place = (x + rng.uniform(-0.6, 0.6) * wide, y + rng.uniform(-0.6, 0.6) * tall)
        ellipse(canvas, place, (wide * rng.uniform(0.04, 0.2), tall * rng.uniform(0.04, 0.2)), rng.uniform(0.2, 0.8), rng)
    return finish_slice(canvas, rng)


def zoomed(grey: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A third to a half of each side, anywhere."""
    rows, columns = (np.array(grey.shape) * rng.uniform(0.32, 0.5, 2)).astype(int)
    top, left = int(rng.uniform(0, grey.shape[0] - rows)), int(rng.uniform(0, grey.shape[1] - columns))
    return grey[top : top + rows, left : left + columns]


def collage(pick: Draw, rng: np.random.Generator) -> np.ndarray:
    """Two, three, four or six X-rays side by side, as figures of papers have them."""
    down, across = [(1, 2), (2, 1), (2, 2), (1, 3), (2, 3)][rng.integers(5)]
    gap = int(rng.integers(0, 8))
    cells = [np.pad(cv2.resize(pick(rng), (192, 192), interpolation=cv2.INTER_AREA), gap, constant_values=255) for _ in range(down * across)]
    return np.vstack([np.hstack(cells[row * across : (row + 1) * across]) for row in range(down)])


def shuffled(grey: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The tiles of a grid of 2 x 2 to 4 x 4 in another order."""
    count = int(rng.integers(2, 5))
    grey = cv2.resize(grey, (96 * count, 96 * count), interpolation=cv2.INTER_AREA)
    tiles = [tile for row in np.vsplit(grey, count) for tile in np.hsplit(row, count)]
    order = np.roll(rng.permutation(len(tiles)), 1) if rng.random() < 0.5 else np.roll(np.arange(len(tiles)), 1 + rng.integers(len(tiles) - 1))
    return np.vstack([np.hstack([tiles[i] for i in order[row * count : (row + 1) * count]]) for row in range(count)])


def of_xrays(pick: Draw) -> dict[str, Draw]:
    """The kinds that spoil X-rays; `pick` draws one."""
    return {
        "on its side": lambda rng: np.ascontiguousarray(np.rot90(pick(rng), 1 + 2 * int(rng.integers(2)))),
        "upside down": lambda rng: np.ascontiguousarray(np.rot90(pick(rng), 2) if rng.random() < 0.5 else pick(rng)[::-1]),
        "negative": lambda rng: 255 - pick(rng),
        "zoomed": lambda rng: zoomed(pick(rng), rng),
        "lower part": lambda rng: lower(pick(rng), rng.uniform(0.3, 0.42)),
        "upper part": lambda rng: lower(pick(rng)[::-1], rng.uniform(0.2, 0.32))[::-1],
        "collage": lambda rng: collage(pick, rng),
        "shuffled": lambda rng: shuffled(pick(rng), rng),
    }


def lower(grey: np.ndarray, share: float) -> np.ndarray:
    """The lowest share of the rows."""
    return grey[int(grey.shape[0] * (1 - share)) :]


DRAWN: dict[str, Draw] = {
    "page": page, "plot": plot, "noise": noise, "gradient": gradient, "trunk slice": trunk_slice, "head slice": head_slice,
}  # fmt: skip


def of_files(files: list[Path]) -> Draw:
    """A picture of a list, whole or a random part of it."""

    def draw(rng: np.random.Generator) -> np.ndarray:
        grey = to_bytes(load_grey(files[rng.integers(len(files))]))
        if min(grey.shape) > 160 and rng.random() < 0.6:
            rows, columns = (np.array(grey.shape) * rng.uniform(0.5, 1.0, 2)).astype(int)
            top, left = int(rng.uniform(0, grey.shape[0] - rows)), int(rng.uniform(0, grey.shape[1] - columns))
            grey = grey[top : top + rows, left : left + columns]
        return grey

    return draw


def is_picture(file: Path) -> bool:
    return file.suffix.lower() in (".jpg", ".jpeg", ".png", ".bmp") and file.stat().st_size > 8000


def opencv_files(folder: Path) -> dict[str, list[Path]]:
    """Photographs, screens and figures in the sources of OpenCV (the folder with `samples` and `doc`)."""
    kinds: dict[str, list[Path]] = {"photo": [], "screen": [], "figure": []}
    for file in sorted(f for part in ("samples/data", "doc") for f in (folder / part).rglob("*") if is_picture(f)):
        place = file.relative_to(folder).as_posix()
        kind = "photo" if place.startswith("samples") else "screen" if "/introduction/" in place else "figure"
        kinds[kind].append(file)
    return kinds


def stretched(values: np.ndarray) -> np.ndarray:
    low, high = np.percentile(values, [1, 99])
    return to_bytes(np.clip((values - low) / max(high - low, 1e-9), 0, 1))


def held_out_photos() -> list[np.ndarray]:
    """Photographs, micrographs and textures of scikit-image, scikit-learn and matplotlib: never in training."""
    import matplotlib
    import skimage
    import sklearn

    folders = [Path(skimage.__file__).parent / "data", Path(sklearn.__file__).parent / "datasets/images", Path(matplotlib.get_data_path()) / "sample_data"]
    files = sorted(f for folder in folders for f in folder.iterdir() if is_picture(f) and f.stem not in ("phantom", "logo", "logo2"))
    return [to_bytes(load_grey(file)) for file in files]


SCANS = (
    "693_J2KI.dcm", "CT_small.dcm", "ExplVR_BigEnd.dcm", "J2K_pixelrep_mismatch.dcm", "JPEG2000.dcm", "MR_small.dcm",
    "examples_jpeg2k.dcm", "examples_overlay.dcm", "examples_palette.dcm", "examples_rgb_color.dcm",
)  # fmt: skip
"""Test files of pydicom that show anatomy: CT, MR, ultrasound, scintigraphy."""


def held_out_scans() -> list[np.ndarray]:
    """Real slices of pydicom and matplotlib, and the Shepp-Logan phantom: never in training."""
    import matplotlib
    import pydicom
    import skimage.data
    from pydicom.data import get_testdata_file

    scans = []
    for name in SCANS:
        values = pydicom.dcmread(get_testdata_file(name)).pixel_array.astype(np.float32)
        scans.append(stretched(values.mean(axis=-1) if values.ndim == 3 else values))
    with gzip.open(Path(matplotlib.get_data_path()) / "sample_data" / "s1045.ima.gz") as file:
        scans.append(stretched(np.frombuffer(file.read(), np.uint16).reshape(256, 256).astype(np.float32)))
    scans.append(to_bytes(np.asarray(Image.fromarray(skimage.data.shepp_logan_phantom().astype(np.float32)))))
    return scans
