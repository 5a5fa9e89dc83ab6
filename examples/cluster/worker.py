"""What a worker of a cluster does with its part: one call of `gradlens`, whose table comes back as Arrow."""

import csv
import os
import subprocess
import tempfile
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

# A picture or report that has no result has a row that says why, and the exit code 2; a report that differs, 1.
DONE = (0, 1, 2)


class Failed(RuntimeError):
    """gradlens ended without a table."""


def explain(pictures: list[str], options: dict) -> pa.Table:
    """Explains pictures, a row each in their order."""
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        with open(place / "list.csv", "w", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(["file"])
            writer.writerows([picture] for picture in pictures)
        given = ["explain", place / "list.csv", "--files", "report", "--out", place]
        return called(given, place, options)


def verify(reports: list[str], options: dict) -> pa.Table:
    """Checks reports, a line of JSON each; a row each in their order."""
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        # As bytes: a report's checksum is that of the very line.
        (place / "reports.jsonl").write_bytes("".join(f"{line}\n" for line in reports).encode())
        given = ["verify", place / "reports.jsonl", "--pictures", options["pictures"]]
        # Where a report lay is where it lies here; whoever asked knows it by its row.
        return called(given, place, options).drop_columns(["report"])


COMMANDS = {"explain": explain, "verify": verify}


def called(given: list, folder: Path, options: dict) -> pa.Table:
    """Calls gradlens and reads its table."""
    table = folder / "table.parquet"
    call = [options["gradlens"], *given, "--table", table, "--json", *options["more"]]
    threads = {"RAYON_NUM_THREADS": str(options["threads"])}
    done = subprocess.run(
        [str(part) for part in call],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        env={**os.environ, **threads},
        check=False,
    )
    if done.returncode not in DONE or not table.is_file():
        raise Failed(done.stderr.decode(errors="replace").strip() or f"exit code {done.returncode}")
    return pq.read_table(table)


def part(command: str, rows: pa.Array, values: pa.Array, options: dict) -> pa.Table:
    """A part of a job: numbered values in, numbered rows of the table out."""
    table = COMMANDS[command](values.to_pylist(), options)
    if len(table) != len(rows):
        raise Failed(f"{len(table)} rows for {len(rows)}")
    return table.append_column("row", rows)


def schema(command: str, options: dict) -> pa.Schema:
    """What the columns of such a job are: gradlens says it itself."""
    return COMMANDS[command]([], options).schema.append(pa.field("row", pa.int64()))
