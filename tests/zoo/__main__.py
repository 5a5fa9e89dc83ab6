"""Checks gradlens on many architectures and writes what it found to docs/zoo.md. `npm run zoo` prepares and calls it."""

import argparse
import json
import multiprocessing
import os
import time
from pathlib import Path

for threads in ("OMP_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[threads] = "1"

import torch

import table
from architectures import ZOO, Architecture
from check import check
from runtimes import ROOT

STORE = ROOT / "target" / "zoo"
PATIENCE = 900
"""Seconds that one architecture may take."""
TIMES = ("ort_forward_ms", "ort_both_ms", "tract_forward_ms", "tract_both_ms", "peer")
"""What a quick check leaves out."""


def isolated(architecture: Architecture, timed: bool) -> dict:
    """Checks in a process of its own: an exporter may take the whole process down, and memory comes back."""
    context = multiprocessing.get_context("fork")
    mine, theirs = context.Pipe()

    def work() -> None:
        theirs.send(check(architecture, STORE / "models", timed=timed))

    process = context.Process(target=work)
    started = time.monotonic()
    process.start()
    theirs.close()
    row = {"name": architecture.name, "library": architecture.library, "problem": "construction: the process ended"}
    try:
        if mine.poll(PATIENCE):
            row = mine.recv()
        else:
            row["problem"] = f"not done after {PATIENCE} s"
    except EOFError:
        pass
    process.kill()
    process.join()
    row["seconds"] = time.monotonic() - started
    return row


def read(results: Path) -> dict[tuple[str, str], dict]:
    """Earlier rows; of several for an architecture the last counts."""
    rows = [json.loads(line) for line in results.read_text().splitlines()] if results.exists() else []
    return {(row["library"], row["name"]): row for row in rows}


def told(row: dict) -> str:
    if "problem" in row:
        return f"FAILED {row['problem']}"
    errors = {runtime: " ".join(f"{what} {error:.0e}" for what, error in errors.items()) for runtime, errors in row["errors"].items()}
    times = f"; {row['tract_both_ms'] / row['tract_forward_ms']:.2f} x forward" if row.get("tract_forward_ms") else ""
    return f"{row['nodes_forward']} -> {row['nodes_total']} nodes; tract {errors['tract']}{times}; CAM by {row['cam_by']}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", nargs="+", metavar="NAME", help="these architectures")
    parser.add_argument("--again", action="store_true", help="check what was checked before, too")
    parser.add_argument("--failed", action="store_true", help="check what failed before, too")
    parser.add_argument("--quick", action="store_true", help="without times and without onnx-ad; earlier ones are kept")
    parser.add_argument("--table", action="store_true", help="only write docs/zoo.md")
    options = parser.parse_args()
    torch.set_num_threads(1)
    (STORE / "models").mkdir(parents=True, exist_ok=True)
    results = STORE / "results.jsonl"
    rows = read(results)
    chosen = [architecture for architecture in ZOO if not options.only or architecture.name in options.only]
    for number, architecture in enumerate([] if options.table else chosen):
        key = (architecture.library, architecture.name)
        known = rows.get(key)
        if known and not options.again and not options.only and not (options.failed and "problem" in known):
            continue
        row = isolated(architecture, not options.quick)
        rows[key] = {**{name: known[name] for name in TIMES if known and name in known}, **row}
        with results.open("a") as file:
            file.write(json.dumps(rows[key]) + "\n")
        print(f"[{number + 1}/{len(chosen)}] {architecture.name} ({row['exporter'] if 'exporter' in row else '-'} {row.get('opset', '')}, {row['seconds']:.0f} s): {told(row)}", flush=True)
    there = [rows[key] for architecture in ZOO if (key := (architecture.library, architecture.name)) in rows]
    if not options.only:
        table.write(there, len(ZOO))
    failed = [row["name"] for row in there if "problem" in row]
    print(f"{len(there) - len(failed)} right, {len(failed)} not: {', '.join(failed)}")
    raise SystemExit(1 if failed else 0)


if __name__ == "__main__":
    main()
