"""gradlens as the worker of Spark: `python on_spark.py explain manifest.csv --out all.parquet -- --model covid-xray`.

`mapInArrow` rather than `mapInPandas`: pandas would turn what is missing into NaN.
"""

import os
import sys
from pathlib import Path

import pyarrow as pa
from pyspark.sql import SparkSession
from pyspark.sql.pandas.types import from_arrow_schema

import job
import worker


def signed(schema: pa.Schema) -> pa.Schema:
    """The schema as Spark has it, which knows no unsigned numbers."""
    wide = {pa.uint32(): pa.int64()}
    return pa.schema([field.with_type(wide.get(field.type, field.type)) for field in schema])


def run(spark: SparkSession, given, options: dict) -> pa.Table:
    """All rows of the job, in any order."""
    command = given.command
    schema = job.schema(given)
    wide = signed(schema)

    def part(batches):
        for batch in batches:
            done = worker.part(command, batch["row"], batch["value"], options)
            yield from done.cast(wide).combine_chunks().to_batches()

    numbered = job.values(given)
    spark.conf.set("spark.sql.execution.arrow.maxRecordsPerBatch", str(given.part))
    parts = max(1, -(-len(numbered) // given.part))
    frame = spark.createDataFrame(numbered).repartitionByRange(parts, "row")
    return frame.mapInArrow(part, from_arrow_schema(wide)).toArrow().cast(schema)


def session(address: str | None) -> SparkSession:
    """A session whose workers know this folder's modules."""
    # The Python that has these packages, not the first on the path. Where nodes have it elsewhere, the variable says so.
    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    builder = SparkSession.builder.appName("gradlens").config("spark.ui.enabled", "false")
    spark = builder.master(address or "local[*]").getOrCreate()
    spark.sparkContext.addPyFile(str(Path(__file__).with_name("worker.py")))
    return spark


def main() -> None:
    given = job.arguments("Spark")
    job.schema(given)
    spark = session(given.address)
    job.gather(run(spark, given, job.options(given)), given.out)
    spark.stop()


if __name__ == "__main__":
    main()
