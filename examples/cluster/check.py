"""Runs real X-rays through a cluster of two workers on this machine, by Ray and by Spark, and compares with one process, to the bit."""

import argparse
import csv
import subprocess
import sys
import time
from argparse import Namespace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

import job
import on_ray
import on_spark

# Pictures that go through, and how many at a time.
PICTURES, PART = 200, 20


def different(one: pa.Table, other: pa.Table) -> list[str]:
    """The columns that are not the same, bit for bit."""
    if one.column_names != other.column_names or len(one) != len(other):
        return [f"{one.column_names} x {len(one)}", f"{other.column_names} x {len(other)}"]
    return [name for name in one.column_names if not same(one[name], other[name])]


def same(one: pa.ChunkedArray, other: pa.ChunkedArray) -> bool:
    one, other = one.combine_chunks(), other.combine_chunks()
    if one.type != other.type or not one.is_null().equals(other.is_null()):
        return False
    if pa.types.is_list(one.type):
        lengths = pc.list_value_length(one).equals(pc.list_value_length(other))
        return lengths and same(pa.chunked_array([one.flatten()]), pa.chunked_array([other.flatten()]))
    if pa.types.is_floating(one.type):
        bits = f"u{one.type.bit_width // 8}"
        bare = [array.drop_null().to_numpy(zero_copy_only=False).view(bits) for array in (one, other)]
        return np.array_equal(*bare)
    return one.equals(other)


class Checks:
    passed = failed = 0

    def that(self, name: str, right: bool, what: object = "") -> None:
        self.passed += right
        self.failed += not right
        print(f"{'ok    ' if right else 'FAILED'} {name} {'' if right else what}", flush=True)

    def table(self, name: str, found: pa.Table, whole: pa.Table, out: Path) -> None:
        job.gather(found, out)
        wrong = different(pq.read_table(out), whole)
        self.that(f"{name}: {len(whole)} rows, {len(whole.column_names)} columns, to the bit", not wrong, wrong)


def prepared(xrays: Path, work: Path) -> Path:
    """A manifest of X-rays from all sources, and one file that is no picture."""
    with open(xrays / "manifest.csv", newline="", encoding="utf-8") as file:
        files = [xrays / row["file"] for row in csv.DictReader(file)]
    chosen = files[:: len(files) // PICTURES][:PICTURES]
    bad = work / "bad.jpg"
    bad.write_text("no picture")
    manifest = work / "manifest.csv"
    lines = [str(file) for file in [*chosen[:77], bad, *chosen[77:]]]
    manifest.write_text("\n".join(["file", *lines]) + "\n")
    return manifest


def one_process(call: list, out: Path) -> bytes:
    """What one call of gradlens prints."""
    started = time.monotonic()
    done = subprocess.run([str(part) for part in call], stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=False)
    assert out.is_file(), done.stderr.decode()
    print(f"{call[1]} in one process: {time.monotonic() - started:.1f} s", flush=True)
    return done.stdout


def by_ray(checks: Checks, jobs: dict, work: Path) -> None:
    import ray
    from ray.cluster_utils import Cluster

    # Two nodes: each has its own scheduler, object store and workers, in processes of its own.
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "object_store_memory": 2**28})
    cluster.add_node(num_cpus=1, object_store_memory=2**28)
    ray.init(address=cluster.address, runtime_env={"working_dir": str(Path(__file__).parent)}, log_to_driver=False)
    for command, (given, whole) in jobs.items():
        started = time.monotonic()
        found = on_ray.run(given, job.options(given), keep_node=True)
        print(f"{command} by Ray on two nodes: {time.monotonic() - started:.1f} s", flush=True)
        rows = {count["values"]: count["counts"] for count in found["node"].value_counts().to_pylist()}
        checks.that(f"Ray, {command}: both nodes worked ({sorted(rows.values())} rows)", len(rows) == 2, rows)
        checks.table(f"Ray, {command}", found.drop_columns(["node"]), whole, work / f"ray-{command}.parquet")
    ray.shutdown()
    cluster.shutdown()


def by_spark(checks: Checks, jobs: dict, work: Path) -> None:
    # Two executors in processes of their own.
    spark = on_spark.session("local-cluster[2,1,1024]")
    for command, (given, whole) in jobs.items():
        started = time.monotonic()
        found = on_spark.run(spark, given, job.options(given))
        print(f"{command} by Spark on two workers: {time.monotonic() - started:.1f} s", flush=True)
        checks.table(f"Spark, {command}", found, whole, work / f"spark-{command}.parquet")
    spark.stop()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--gradlens", required=True)
    parser.add_argument("--xrays", type=Path, required=True)
    parser.add_argument("--work", type=Path, required=True)
    given = parser.parse_args()
    work = given.work.resolve()
    work.mkdir(parents=True, exist_ok=True)
    manifest = prepared(given.xrays.resolve(), work)

    explained, verified, reports = work / "one-explain.parquet", work / "one-verify.parquet", work / "reports.jsonl"
    call = [given.gradlens, "explain", manifest, "--files", "report", "--out", work / "explained"]
    lines = one_process([*call, "--table", explained, "--json"], explained)
    # One report says what is not so.
    lines = lines.replace(b'"logit":-', b'"logit":', 1)
    reports.write_bytes(lines)
    call = [given.gradlens, "verify", reports, "--pictures", given.xrays]
    one_process([*call, "--table", verified, "--json"], verified)

    shared = {"gradlens": given.gradlens, "part": PART, "threads": 1, "more": [], "pictures": given.xrays}
    jobs = {
        "explain": (Namespace(command="explain", input=manifest, **shared), pq.read_table(explained)),
        "verify": (Namespace(command="verify", input=reports, **shared), pq.read_table(verified).drop_columns(["report"])),
    }
    checks = Checks()
    whole = jobs["verify"][1]["verdict"].to_pylist()
    checks.that("one report differs, the others hold", (whole.count("differs"), whole.count("holds")) == (1, PICTURES - 1), whole)
    by_ray(checks, jobs, work)
    by_spark(checks, jobs, work)
    print(f"{checks.passed} passed, {checks.failed} failed")
    sys.exit(checks.failed > 0)


if __name__ == "__main__":
    main()
