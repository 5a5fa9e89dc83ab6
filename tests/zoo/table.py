"""Writes docs/zoo.md between its two marks, from the rows of the check."""

from collections import Counter
from statistics import median

from runtimes import ROOT

PAGE = ROOT / "docs" / "zoo.md"
BEGIN, END = "<!-- made by npm run zoo -->\n", "<!-- end -->\n"


def number(value: float | None, form: str = "{:.1f}") -> str:
    return "-" if value is None else form.format(value)


def small(value: float | None) -> str:
    return number(value, "{:.0e}")


def ratio(row: dict, runtime: str) -> float | None:
    forward, both = row.get(f"{runtime}_forward_ms"), row.get(f"{runtime}_both_ms")
    return both / forward if forward and both else None


def worst(row: dict, what: str) -> float | None:
    found = [errors[what] for errors in row.get("errors", {}).values() if what in errors]
    return max(found) if found else None


def title(row: dict) -> str:
    return f"{row['name']}{' (torchvision)' if row['library'] == 'torchvision' else ''}"


def plain(text: str) -> str:
    """A message without the path of the file that it is about, fit for a table."""
    kept = [word.replace(str(ROOT), "").rsplit("/zoo/models/", 1)[-1] for word in text.split()]
    return " ".join(kept).replace("|", "\\|")[:220].removeprefix("onnx_ad._build.")


def models(rows: list[dict]) -> str:
    lines = [
        "| model | px | exporter, opset | batch | nodes | with gradient | made in (ms) | layer | layer error | input error | PyTorch f32 | CAM error | tract | ONNX Runtime |",
        "| --- | --: | --- | --- | --: | --: | --: | --- | --: | --: | --: | --: | --: | --: |",
    ]
    for row in rows:
        if "errors" not in row:
            continue
        kink = "*" if "near" in row else ""
        wrong = " **wrong**" if "problem" in row else ""
        cam = small(worst(row, "cam")) + ("" if row.get("cam_by") else " (tensor)")
        lines.append(
            f"| {title(row)}{wrong} | {row['size']} | {row['exporter']} {row['opset']} | {row['batch']} | {row['nodes_forward']} | {row['nodes_total']} | {row['make_ms']:.0f} "
            f"| `{row['layer']}` {row['map'][1]} x {row['map'][2]} | {small(worst(row, 'layer'))} | {small(worst(row, 'input'))}{kink} | {small(row['own'].get('input'))} "
            f"| {cam} | {number(row.get('tract_forward_ms'))} / {number(row.get('tract_both_ms'))} | {number(row.get('ort_forward_ms'))} / {number(row.get('ort_both_ms'))} |"
        )
    return "\n".join(lines)


def failures(rows: list[dict]) -> str:
    failed = [row for row in rows if "problem" in row]
    moved = [row for row in rows if row.get("exporter_failures")]
    parts = []
    if failed:
        parts += ["| model | what is wrong |", "| --- | --- |"]
        parts += [f"| {title(row)} | {plain(row['problem'])} |" for row in failed]
    else:
        parts.append("None.")
    if moved:
        names = ", ".join(f"{title(row)} ({row['exporter_failures'][0].split(':')[0]}, then {row['exporter']} {row['opset']})" for row in moved)
        parts.append(f"\nThe exporter itself failed, and another was taken: {names}.")
    return "\n".join(parts)


def operators(rows: list[dict]) -> str:
    count = Counter(operator for row in rows for operator in row.get("operators", []))
    missing = Counter(operator for row in rows for operator in row.get("without_rule", []))
    listed = ", ".join(f"{name} {number_of}" for name, number_of in sorted(count.items()))
    without = ", ".join(f"{name} ({number_of})" for name, number_of in missing.most_common()) or "none"
    return f"{len(count)} operators occur (with the number of models): {listed}.\n\nOn the way from picture to scores without a gradient rule: {without}."


def comparison(rows: list[dict]) -> str:
    judged = [row for row in rows if "ort_both_ms" in row and ("error" in row.get("peer", {}) or "as_it_is" in row.get("peer", {}))]
    if not judged:
        return "Not measured."
    right = [row for row in judged if "problem" not in row["peer"]]
    both = [row for row in right if "problem" not in row]
    none = [row for row in judged if "error" not in row["peer"]]
    wrong = [row for row in judged if "error" in row["peer"] and "problem" in row["peer"]]
    helped = [row for row in judged if "as_it_is" in row["peer"]]
    lines = [f"Of {len(judged)} models it is right on {len(right)}, wrong on {len(wrong)}, and has no graph that runs for {len(none)}.", ""]
    if both:
        values = {
            "nodes, as a multiple of the forward's": [(row["nodes_total"] / row["nodes_forward"], row["peer"]["nodes"] / row["nodes_forward"]) for row in both],
            "time in ONNX Runtime, as a multiple of the forward's": [(ratio(row, "ort"), row["peer"]["ort_ms"] / row["ort_forward_ms"]) for row in both],
            "time to make the graph (ms)": [(row["make_ms"], row["peer"]["make_ms"]) for row in both],
        }
        lines += [f"On the {len(both)} that both have right (median, largest):", "", "| | gradlens | onnx-ad |", "| --- | --: | --: |"]
        for what, pairs in values.items():
            ours, theirs = zip(*pairs, strict=True)
            lines.append(f"| {what} | {median(ours):.1f}, {max(ours):.1f} | {median(theirs):.1f}, {max(theirs):.1f} |")
        faster = sum(ratio(row, "ort") < row["peer"]["ort_ms"] / row["ort_forward_ms"] for row in both)
        lines += ["", f"Ours is the faster one on {faster} of {len(both)}."]
    if helped:
        reasons = Counter(plain(row["peer"]["as_it_is"]) for row in helped)
        lines += ["", f"{len(helped)} models it refuses as they are; it was given them with a fixed batch, every shape inferred, and at opset 17 or newer. Why it refuses them:", ""]
        lines += [f"- {reason} ({times})" for reason, times in reasons.most_common()]
    if wrong or none:
        lines += ["", "| model | onnx-ad |", "| --- | --- |"]
        lines += [f"| {title(row)} | {plain(row['peer']['problem'])} |" for row in [*wrong, *none]]
    return "\n".join(lines)


def summary(rows: list[dict], whole: int) -> str:
    right = [row for row in rows if "problem" not in row]
    tract, ort = ([value for row in right if (value := ratio(row, runtime))] for runtime in ("tract", "ort"))
    lines = [f"{len(right)} of {len(rows)} models are right" + (f" ({whole} are listed)." if whole != len(rows) else ".")]
    if tract and ort:
        lines.append(
            f"On the {len(tract)} that were timed, forward and backward to the pixels takes {median(tract):.1f} times the forward in tract (median; {min(tract):.1f} to {max(tract):.1f}) "
            f"and {median(ort):.1f} times in ONNX Runtime ({min(ort):.1f} to {max(ort):.1f})."
        )
    return " ".join(lines)


def write(rows: list[dict], whole: int) -> None:
    sections = {
        "Result": summary(rows, whole),
        "What failed": failures(rows),
        "Models": models(rows),
        "Operators": operators(rows),
        "Beside onnx-ad": comparison(rows),
    }
    made = "\n\n".join(f"## {name}\n\n{text}" for name, text in sections.items())
    before, rest = PAGE.read_text().split(BEGIN)
    after = rest.split(END)[1]
    PAGE.write_text(f"{before}{BEGIN}\n{made}\n\n{END}{after}")
