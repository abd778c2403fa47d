"""An error of Spark is one sentence with its cause, and says what to do."""

from __future__ import annotations

from unittest.mock import MagicMock

import pytest
from pyspark.errors import PySparkException

from ingestion.errors import PipelineError
from ingestion.warehouse.spark_errors import damage_action, error_words, spark_errors


def test_an_error_of_the_jvm_is_told_without_its_stack() -> None:
    """Risk: the one line that names the cause drowns in a hundred lines of Java."""
    told = error_words(
        "Runtime Error in model fct_sales\n"
        "  An error occurred while calling o82.sql.\n"
        "  : org.apache.spark.SparkException: Job aborted\n"
        "  \tat org.apache.spark.Task.run(Task.scala:147)\n"
        "  Caused by: java.io.IOException: No space left on device\n"
        "  \tat java.base/java.lang.Thread.run(Thread.java:840)\n"
        "  \t... 1 more\n"
    )
    assert told == (
        "Runtime Error in model fct_sales\n"
        "  org.apache.spark.SparkException: Job aborted\n"
        "  Caused by: java.io.IOException: No space left on device"
    )


@pytest.mark.parametrize(
    ("cause", "is_damage"),
    [
        ("ParquetDecodingException: could not verify page integrity, CRC failed", True),
        ("RuntimeException: file:/w/a.parquet is not a Parquet file. Expected magic number", True),
        ("FileNotFoundException: /w/a.parquet (Permission denied)", False),
        ("OutOfMemoryError: Java heap space", False),
    ],
)
def test_only_a_file_with_other_bytes_is_to_be_removed(cause: str, is_damage: bool) -> None:
    """Risk: a sound file is removed, since Spark could not read it for another reason."""
    words = "[FAILED_READ_FILE.NO_HINT] Encountered error while reading file file:///w/a.parquet."
    action = damage_action(f"{words}\nCaused by: java.lang.{cause}")
    assert (action is not None) == is_damage


def test_a_file_that_spark_cannot_read_is_named_with_the_cause() -> None:
    """Risk: a damaged file cannot be found among thousands."""
    reading = "[FAILED_READ_FILE.NO_HINT] Encountered error while reading file file:///w/a.parquet."
    text = (
        "An error occurred while calling o44.collect.\n"
        f": org.apache.spark.SparkException: {reading}\n"
        "\tat org.apache.spark.Task.run(Task.scala:147)\n"
        "Caused by: java.io.IOException: could not verify page integrity.\n"
    )
    with pytest.raises(PipelineError) as failed, spark_errors("The counts cannot be read"):
        raise PySparkException(text)
    assert str(failed.value) == (
        f"The counts cannot be read. Found: org.apache.spark.SparkException: {reading}; caused by "
        "java.io.IOException: could not verify page integrity. Its bytes have changed (a disk "
        "error?): remove the file and run again to recreate it."
    )


def test_a_metastore_that_cannot_be_made_is_told_with_the_cause() -> None:
    """Risk: a full disk is told as a class of Hive that cannot be instantiated."""
    text = (
        "An error occurred while calling o44.sql.\n"
        ": java.lang.RuntimeException: Unable to instantiate SessionHiveMetaStoreClient\n"
    )
    error = PySparkException(text)
    for cause in (
        "ERROR XBM0H: Directory /w/metastore_db cannot be created.",
        "ERROR XJ041: Failed to create database '/w/metastore_db'",
        "java.sql.SQLException: Failed to create database '/w/metastore_db'",
        "java.lang.RuntimeException: Unable to instantiate SessionHiveMetaStoreClient",
    ):  # the error alone does not tell them: they are asked of the JVM
        inner = getattr(error, "_origin", None)
        origin = MagicMock()
        origin.getCause.return_value = inner
        origin.toString.return_value = cause
        error._origin = origin
    outer = MagicMock()
    outer.getCause.return_value = error._origin
    error._origin = outer
    with pytest.raises(PipelineError) as failed, spark_errors("Spark cannot start"):
        raise error
    assert str(failed.value) == (
        "Spark cannot start. Found: ERROR XJ041: Failed to create database '/w/metastore_db';"
        " caused by ERROR XBM0H: Directory /w/metastore_db cannot be created. Check that the disk"
        " has space and the folder is writable."
    )
