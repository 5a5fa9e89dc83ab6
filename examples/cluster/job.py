"""What both engines share: arguments, the values to work on, and one table of all parts."""

import argparse
import csv
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

import worker

# Columns of a manifest that may hold a picture's path, as gradlens reads them.
COLUMNS = ("picture", "file", "path", "image")


def arguments(engine: str) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=f"gradlens on {engine}: a table of many pictures or reports. Not for diagnostic use.")
    parser.add_argument("command", choices=sorted(worker.COMMANDS))
    parser.add_argument("input", type=Path, help="explain: a CSV manifest; verify: reports, one a line")
    parser.add_argument("--pictures", type=Path, help="verify: the folder with the pictures")
    parser.add_argument("--out", type=Path, required=True, help="the Parquet file to write")
    parser.add_argument("--gradlens", default="gradlens", help="the program, at the same place on every node")
    parser.add_argument("--part", type=int, default=1000, help="pictures or reports of one call of gradlens")
    parser.add_argument("--threads", type=int, default=1, help="processors that one call uses")
    parser.add_argument("--address", help="the cluster; without it, one on this machine")
    parser.epilog = "What follows -- goes to gradlens: -- --model covid-xray --class covid"
    own, more = sys.argv[1:], []
    if "--" in own:
        at = own.index("--")
        own, more = own[:at], own[at + 1 :]
    given = parser.parse_args(own, argparse.Namespace(more=more))
    if given.command == "verify" and given.pictures is None:
        parser.error("verify needs --pictures")
    return given


def options(given: argparse.Namespace) -> dict:
    """What a worker must know."""
    pictures = given.pictures and str(given.pictures.resolve())
    return {"gradlens": given.gradlens, "threads": given.threads, "more": given.more, "pictures": pictures}


def schema(given: argparse.Namespace) -> pa.Schema:
    """The columns of the job's table. That gradlens is there and takes the options is known before a worker starts."""
    try:
        return worker.schema(given.command, options(given))
    except (OSError, worker.Failed) as error:
        raise SystemExit(f"{given.gradlens}: {error}") from None


def values(given: argparse.Namespace) -> pa.Table:
    """The pictures of a manifest, or the lines of a file, numbered."""
    try:
        found = reports(given.input) if given.command == "verify" else pictures(given.input)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise SystemExit(f"{given.input}: {error}") from None
    return pa.table({"row": pa.array(range(len(found)), pa.int64()), "value": pa.array(found, pa.string())})


def reports(file: Path) -> list[str]:
    """The lines of a file that are not blank."""
    lines = file.read_text(encoding="utf-8").split("\n")
    return [line for line in lines if line.strip()]


def pictures(manifest: Path) -> list[str]:
    """The paths in a manifest, from its own folder."""
    with open(manifest, newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    column = next((name for name in COLUMNS if rows and name in rows[0]), None)
    if column is None:
        raise SystemExit(f"{manifest}: has none of the columns {', '.join(COLUMNS)}")
    folder = manifest.resolve().parent
    return [str(folder / row[column]) for row in rows if row[column]]


def gather(parts: pa.Table, out: Path) -> None:
    """Writes all rows in their order, whole or not at all."""
    table = parts.sort_by("row").drop_columns(["row"])
    begun = out.with_name(out.name + ".part")
    pq.write_table(table, begun, compression="snappy")
    begun.replace(out)
    print(f"{len(table)} rows in {out}")
