"""Draws how often a classifier is right against how sure it is, as SVG."""

SIZE, RIM = 360, 44
COLOURS = ("#0072b2", "#d55e00")
"""Blue and vermilion of Okabe and Ito, which colour-blind readers tell apart."""


def place(share: float, down: bool) -> float:
    """A share of 0..1 in pixels along an axis."""
    length = SIZE - 2 * RIM
    return round(RIM + (1 - share if down else share) * length, 1)


def calibration_plot(curves: dict[str, list[tuple[float, float, int]]], title: str) -> str:
    """The curves (confidence, accuracy, count) of some splits beside the diagonal, where a calibrated classifier lies."""
    low, high = place(0, False), place(1, False)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {SIZE} {SIZE}" font-family="sans-serif" font-size="12">',
        f'<rect width="{SIZE}" height="{SIZE}" fill="white"/>',
        f'<path d="M{low} {low}V{high}H{high}M{low} {high}L{high} {low}" fill="none" stroke="#888"/>',
        f'<text x="{SIZE / 2}" y="{SIZE - 8}" text-anchor="middle">confidence: probability of the first class</text>',
        f'<text x="14" y="{SIZE / 2}" text-anchor="middle" transform="rotate(-90 14 {SIZE / 2})">accuracy</text>',
        f'<text x="{SIZE / 2}" y="24" text-anchor="middle" font-size="14">{title}</text>',
    ]
    for tick in (0.0, 0.5, 1.0):
        parts.append(f'<text x="{place(tick, False)}" y="{high + 15}" text-anchor="middle">{tick:g}</text>')
        parts.append(f'<text x="{low - 6}" y="{place(tick, True) + 4}" text-anchor="end">{tick:g}</text>')
    for row, (colour, (name, curve)) in enumerate(zip(COLOURS, curves.items())):
        points = [(place(sure, False), place(right, True)) for sure, right, _ in curve]
        line = " ".join(f"{x},{y}" for x, y in points)
        parts.append(f'<polyline points="{line}" fill="none" stroke="{colour}" stroke-width="1.5"/>')
        parts += [f'<circle cx="{x}" cy="{y}" r="3.5" fill="{colour}"/>' for x, y in points]
        parts.append(f'<text x="{low + 10}" y="{low + 18 + 16 * row}" fill="{colour}">{name}, {sum(n for *_, n in curve)} pictures</text>')
    return "\n".join([*parts, "</svg>", ""])
