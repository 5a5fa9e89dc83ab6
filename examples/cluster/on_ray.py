"""gradlens as the worker of Ray Data: `python on_ray.py explain manifest.csv --out all.parquet -- --model covid-xray`."""

from pathlib import Path

import pyarrow as pa
import ray

import job
import worker


def run(given, options: dict, keep_node: bool = False) -> pa.Table:
    """All rows of the job, in any order."""
    command = given.command

    def one(batch: pa.Table) -> pa.Table:
        done = worker.part(command, batch["row"].combine_chunks(), batch["value"], options)
        if keep_node:
            node = ray.get_runtime_context().get_node_id()
            done = done.append_column("node", pa.array([node] * len(done), pa.string()))
        return done

    numbered = job.values(given)
    parts = [numbered.slice(start, given.part) for start in range(0, len(numbered), given.part)]
    # A block a part, so that Ray neither splits nor joins them.
    done = ray.data.from_arrow(parts).map_batches(
        one,
        batch_format="pyarrow",
        batch_size=None,
        num_cpus=given.threads,
        scheduling_strategy="SPREAD",
    )
    return pa.concat_tables(ray.get(done.to_arrow_refs()))


def main() -> None:
    given = job.arguments("Ray")
    job.schema(given)
    ray.init(address=given.address, runtime_env={"working_dir": str(Path(__file__).parent)})
    job.gather(run(given, job.options(given)), given.out)


if __name__ == "__main__":
    main()
