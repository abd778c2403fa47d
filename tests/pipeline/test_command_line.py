"""The command line as its user meets it: real processes, one sentence a mistake, exit codes."""

from __future__ import annotations

import contextlib
import json
import os
import sqlite3
import subprocess
import sys
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path

import pytest
from sqlalchemy.engine import make_url

from ingestion.config import secrets
from ingestion.config.settings import load_settings
from ingestion.database.batches import open_batch
from ingestion.database.engine import connect
from ingestion.run.services import open_store
from ingestion.s3.embedded_s3 import status as read_server
from ingestion.warehouse.class_archive import archive_file
from tests.run_without_spark import s3_rows
from tests.services import Bucket, machine_environ

PROJECT = Path(__file__).parents[2]


def pipeline(
    *words: str, environ: Mapping[str, str], stdin: str | None = None
) -> subprocess.CompletedProcess[str]:
    """One call of the command line, with the test's settings alone."""
    return subprocess.run(
        [sys.executable, str(PROJECT / "run_pipeline.py"), *words],
        env={**machine_environ(), **environ},
        input=stdin,
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
        cwd=environ.get("RETAIL_WORKSPACE", "/"),
    )


@pytest.fixture
def environ(s3_bucket: Bucket, tmp_path: Path) -> dict[str, str]:
    """Settings that work, with a workspace of their own."""
    return {**s3_bucket.environment, "RETAIL_WORKSPACE": str(tmp_path)}


def assert_refused(result: subprocess.CompletedProcess[str], code: int, *words: str) -> None:
    """One error line with these words, no traceback, nothing on stdout."""
    assert result.returncode == code, result.stderr
    errors = [line for line in result.stderr.splitlines() if line.startswith("error: ")]
    assert len(errors) == 1, result.stderr
    assert "Traceback" not in result.stderr
    assert result.stdout == ""
    for word in words:
        assert word in result.stderr


def test_every_wrong_setting_is_named_at_once(environ: dict[str, str]) -> None:
    """Risk: a user mends one setting after another, a run each."""
    environ |= {"RETAIL_LOG_FORMAT": "xml", "RETAIL_S3_THREADS": "many"}
    result = pipeline("run", environ=environ)
    assert_refused(result, 2, "RETAIL_LOG_FORMAT", "RETAIL_S3_THREADS")


def test_an_unknown_option_is_wrong_usage(environ: dict[str, str]) -> None:
    """Risk: a mistyped option is passed over and the run does something else."""
    result = pipeline("run", "--full-refesh", environ=environ)
    assert result.returncode == 2
    assert "--full-refresh" in result.stderr


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["retract", "nosuch.csv"], "There is no file nosuch.csv"),
        (["restore", "nosuch.csv"], "There is no file nosuch.csv"),
        (["rollback"], "There is no earlier version to go back to"),
        (["rollback", "7"], "Version 7 cannot be shown again"),
        (
            ["quarantine", "export", "mend", "--reason", "nosuch"],
            "No row is quarantined for nosuch",
        ),
        (["quarantine", "replay", "--file", "nosuch.csv"], "There is no file nosuch.csv"),
        (["quarantine", "replay", "other.csv"], "other.csv is not an export of the quarantine"),
        (["quarantine", "replay", "7.csv"], "The rows of file 7 cannot be replayed"),
    ],
)
def test_what_is_not_there_is_wrong_usage(
    environ: dict[str, str], tmp_path: Path, words: list[str], told: str
) -> None:
    """Risk: a mistyped key alarms those who look after the runs."""
    (tmp_path / "other.csv").write_text("customer_id,store_id\n")
    (tmp_path / "7.csv").write_text("file_id,file_name,line_number,reasons,record\n7,a.csv,2,,\n")
    assert_refused(pipeline(*words, environ=environ), 2, told)


def test_compact_says_what_hinders_it(environ: dict[str, str]) -> None:
    """Risk: a compaction that has nothing to do starts Spark, or passes an unfinished run over."""
    assert "expected a month such as 2024-03, found '2024-13'" in " ".join(
        pipeline("compact", "--before", "2024-13", environ=environ).stderr.split()
    )
    idle = pipeline("compact", environ=environ)
    assert (idle.returncode, idle.stdout) == (
        0,
        "Nothing to compact: closed months have no batches to merge\n",
    )
    told = json.loads(pipeline("compact", "--json", environ=environ).stdout)
    assert told == {"outcome": idle.stdout.strip()}
    assert not (Path(environ["RETAIL_WORKSPACE"]) / "logs" / "spark.log").exists()
    engine = connect(make_url(f"sqlite:///{environ['RETAIL_WORKSPACE']}/database.sqlite"))
    with engine.begin() as connection:
        open_batch(connection, "another run")
    engine.dispose()
    refused = pipeline("compact", environ=environ)
    assert_refused(refused, 1, "Batch 1 is not finished; nothing was compacted", "then compact")


def test_a_wrong_key_of_s3_is_one_sentence(environ: dict[str, str], s3_bucket: Bucket) -> None:
    """Risk: a traceback of the client, or the secret in it."""
    s3_bucket.put("sales_data/a.csv", b"x")
    environ["AWS_SECRET_ACCESS_KEY"] = "not-the-right-one"
    result = pipeline("run", environ=environ)
    assert_refused(result, 1, "the secret does not match the access key")
    assert "not-the-right-one" not in result.stderr
    assert s3_bucket.keys() == ["sales_data/a.csv"]


def test_a_folder_that_cannot_be_written_is_one_sentence(
    environ: dict[str, str], tmp_path: Path
) -> None:
    """Risk: a full disk or a wrong path ends in a stack trace, past the mask of secrets."""
    (tmp_path / "taken").write_text("a file")
    folder = str(tmp_path / "taken" / "export")
    result = pipeline("quarantine", "export", folder, environ=environ)
    assert_refused(result, 1, "A local error stopped the command: Not a directory", folder)


def test_a_database_that_refuses_is_one_sentence(
    environ: dict[str, str], s3_bucket: Bucket
) -> None:
    """Risk: files are moved although nothing can be recorded."""
    s3_bucket.put("sales_data/a.csv", b"x")
    environ["RETAIL_DATABASE_URL"] = "mysql+pymysql://someone@127.0.0.1:9/shop"
    environ["RETAIL_DATABASE_PASSWORD"] = "p@ss/w#rd&1%:x"
    result = pipeline("run", environ=environ)
    assert_refused(result, 1, "127.0.0.1:9", "Check host and port")
    assert "p@ss" not in result.stderr
    assert s3_bucket.keys() == ["sales_data/a.csv"]


def test_no_java_is_one_sentence_and_changes_nothing(
    environ: dict[str, str], s3_bucket: Bucket, tmp_path: Path
) -> None:
    """Risk: files are half way in before it turns out that Spark cannot start."""
    s3_bucket.put("sales_data/a.csv", b"x")
    script = (
        "import ingestion.warehouse.java as java, run_pipeline, sys\n"
        "java.find_java.__defaults__ = ((),)\n"
        "run_pipeline.app(['run'])\n"
    )
    result = subprocess.run(
        [sys.executable, "-c", script],
        env={**environ, "PATH": str(tmp_path), "PYTHONPATH": str(PROJECT)},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        cwd=tmp_path,
    )
    assert_refused(result, 1, "Spark needs Java")
    status = pipeline("status", "--json", environ=environ)
    assert json.loads(status.stdout) == {"files": [], "publication": None}
    assert s3_bucket.keys() == ["sales_data/a.csv"]


def test_json_is_alone_on_stdout_when_there_is_nothing_to_do(environ: dict[str, str]) -> None:
    """Risk: a log line in front of the object breaks every program that reads it."""
    result = pipeline("run", "--json", environ=environ)
    assert result.returncode == 0, result.stderr
    found = json.loads(result.stdout)
    assert (found["exit_code"], found["version"], found["rows_read"]) == (0, None, 0)
    assert found["money"] == {"read": "0", "valid": "0", "quarantined": "0", "balance": "0"}


def test_encrypted_password_opens_with_its_key_only(environ: dict[str, str]) -> None:
    """Risk: a secret cannot be given encrypted, or a wrong key is told as a wrong password."""
    key = pipeline("secrets", "generate-key", environ=environ).stdout.strip()  # as a user gets it
    encrypted = pipeline(
        "secrets",
        "encrypt",
        environ={**environ, "RETAIL_SECRET_KEY": key},
        stdin="p@ss/w#rd&1%:x\n",
    ).stdout.strip()
    assert encrypted.startswith("enc:")
    environ |= {
        "RETAIL_DATABASE_URL": "mysql+pymysql://someone@127.0.0.1:9/shop",
        "RETAIL_DATABASE_PASSWORD": encrypted,
    }
    wrong = {**environ, "RETAIL_SECRET_KEY": secrets.generate_key()}
    assert_refused(pipeline("status", environ=wrong), 2, "RETAIL_DATABASE_PASSWORD")
    right = {**environ, "RETAIL_SECRET_KEY": key}
    assert_refused(pipeline("status", environ=right), 1, "Check host and port")


def test_a_new_key_encrypts_while_old_values_still_stand_in_the_settings(
    environ: dict[str, str],
) -> None:
    """Risk: to change the key, the very command that is needed refuses to work."""
    environ |= {
        "RETAIL_DATABASE_URL": "mysql://someone@127.0.0.1:9/shop",
        "RETAIL_DATABASE_PASSWORD": secrets.encrypt("old", secrets.generate_key()),
        "RETAIL_SECRET_KEY": secrets.generate_key(),
    }
    assert_refused(pipeline("status", environ=environ), 2, "cannot be decrypted with this key")
    again = pipeline("secrets", "encrypt", environ=environ, stdin="new")
    assert again.stdout.startswith("enc:"), again.stderr


@pytest.mark.parametrize(
    ("stdin", "words"),
    [
        ("", "Found: nothing"),
        ("\n", "Found: nothing"),
        ("first\nsecond\n", "Found: 2 lines"),
    ],
)
def test_what_is_no_value_is_not_encrypted(environ: dict[str, str], stdin: str, words: str) -> None:
    """Risk: a vault that fails gives an empty password, and nobody notices."""
    environ["RETAIL_SECRET_KEY"] = secrets.generate_key()
    result = pipeline("secrets", "encrypt", environ=environ, stdin=stdin)
    assert_refused(result, 2, "There is no value to encrypt", words)


def test_a_failure_is_a_line_of_the_log_where_that_is_json(environ: dict[str, str]) -> None:
    """Risk: the one line that an alarm waits for is no JSON and has no time."""
    environ |= {
        "RETAIL_LOG_FORMAT": "json",
        "RETAIL_DATABASE_URL": "mysql://someone@127.0.0.1:9/shop",
        "RETAIL_DATABASE_PASSWORD": "p@ss/w#rd&1%:x",
    }
    result = pipeline("status", "--json", environ=environ)
    assert (result.returncode, result.stdout) == (1, "")
    lines = [json.loads(line) for line in result.stderr.splitlines()]
    assert lines[-1]["level"] == "ERROR"
    assert "Check host and port" in lines[-1]["message"]
    assert "p@ss" not in result.stderr


@pytest.mark.parametrize(
    ("words", "exit_code"), [("status", 0), ("status --json", 0), ("run", 3), ("run 2>&1", 3)]
)
def test_a_reader_that_has_seen_enough_is_no_failure(
    environ: dict[str, str], s3_bucket: Bucket, words: str, exit_code: int
) -> None:
    """Risk: `run | head -1` has published, and its scheduler is told that it failed."""
    s3_bucket.put("sales_data/a.csv", b"no;sales\n1;2\n")
    command = f"{sys.executable} {PROJECT / 'run_pipeline.py'} {words} | true; exit $PIPESTATUS"
    result = subprocess.run(
        ["bash", "-c", command],
        env={**machine_environ(), **environ, "RETAIL_LOG_LEVEL": "WARNING"},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert (result.returncode, result.stderr) == (exit_code, "")


def test_no_output_stream_makes_a_command_fail(environ: dict[str, str], s3_bucket: Bucket) -> None:
    """Risk: a run has published, and its scheduler is told that it failed."""
    name = "sales_data/Łódź — 日本.csv"
    s3_bucket.put(name, b"no;sales\n1;2\n")
    plain = {**environ, "PYTHONIOENCODING": "ascii"}
    done = pipeline("run", environ=plain)
    assert done.returncode == 3, done.stderr
    assert "\\u0141\\xf3d" in done.stdout
    told = json.loads(pipeline("status", "--json", environ=plain).stdout)
    assert told["files"][0]["file_name"] == name
    closed = subprocess.run(
        ["bash", "-c", f"{sys.executable} {PROJECT / 'run_pipeline.py'} status <&- >&- 2>&-"],
        env={**machine_environ(), **environ},
        check=False,
        timeout=60,
    )
    assert closed.returncode == 0


def test_a_key_that_is_no_text_is_wrong_usage(environ: dict[str, str]) -> None:
    """Risk: bytes from a shell of another encoding end in the database driver's stack."""
    result = pipeline("retract", "m\udcff.csv", environ=environ)
    assert result.returncode == 2
    assert "expected a key in UTF-8" in result.stderr
    assert "Traceback" not in result.stderr


def test_the_sample_does_not_get_into_real_services(environ: dict[str, str]) -> None:
    """Risk: a curious call replaces customers of production."""
    result = pipeline("sample", "--rows", "10", environ=environ)
    assert_refused(result, 2, "dimension rows with the same keys", "--force")
    forced = pipeline("sample", "--rows", "10", "--force", environ=environ)
    assert forced.returncode == 0, forced.stderr
    for words in (["--share", "bad_date"], ["--first-month", "9999-12"], ["--months", "200000"]):
        refused = pipeline("sample", environ["RETAIL_WORKSPACE"] + "/s", *words, environ=environ)
        assert_refused(refused, 2, "The sample cannot be generated")


def test_a_lock_file_that_is_none_is_one_sentence(environ: dict[str, str]) -> None:
    """Risk: a damaged file is told as another run at work, for ever."""
    folder = Path(environ["RETAIL_WORKSPACE"])
    (folder / "database.sqlite.lock").write_text("no database, but long enough to look like one")
    result = pipeline("run", environ=environ)
    assert_refused(result, 1, "keeps two runs apart", "Remove it while no run is active")


def test_the_doctor_looks_on_after_a_failure_and_tries_to_write(environ: dict[str, str]) -> None:
    """Risk: the first ill part hides the others; or an account that cannot write is called well."""
    folder = Path(environ["RETAIL_WORKSPACE"])
    environ |= {"RETAIL_WORKSPACE": str(folder / "w"), "RETAIL_SPARK_MASTER": "nowhere"}
    (folder / "w").mkdir()
    assert pipeline("status", environ=environ).returncode == 0
    with sqlite3.connect(folder / "w" / "database.sqlite") as connection:
        connection.execute("pragma journal_mode = delete")
        connection.execute("create view retail_mart_doctor as select 1")  # in the way of a table
    result = pipeline("doctor", environ=environ)
    assert result.returncode == 1
    told = [line.partition(":")[0].split() for line in result.stdout.splitlines() if ": " in line]
    assert ["FAILED", "Database"] in told
    assert ["OK", "S3"] in told
    assert ["FAILED", "Spark"] in told


def test_dimensions_are_loaded_by_key(environ: dict[str, str], tmp_path: Path) -> None:
    """Risk: a second load doubles the dimension, or a wrong file loads half; or the very first
    command in a new place fails."""
    assert pipeline("sample", str(tmp_path / "s"), environ=environ).returncode == 0
    environ["RETAIL_WORKSPACE"] = str(tmp_path)
    assert not (tmp_path / "database.sqlite").exists()
    missing = pipeline("load-dimensions", str(tmp_path / "nowhere"), environ=environ)
    assert missing.returncode == 2
    folder = str(tmp_path / "s" / "dimensions")
    first = pipeline("load-dimensions", folder, environ=environ)
    assert first.returncode == 0, first.stderr
    assert "customer: 200 rows read, 200 new, 0 updated" in first.stdout
    second = pipeline("load-dimensions", folder, environ=environ)
    assert "customer: 200 rows read, 0 new, 0 updated" in second.stdout
    (tmp_path / "s" / "dimensions" / "store.csv").write_text("id,adress\nx,y\n")
    assert_refused(pipeline("load-dimensions", folder, environ=environ), 1, "store.csv")


def test_classes_are_recorded_once(environ: dict[str, str], tmp_path: Path) -> None:
    """Risk: a start script that warms up each time spends two minutes each time."""
    archive = archive_file(tmp_path, os.environ)
    archive.parent.mkdir()
    archive.touch()
    result = pipeline("warm-up", environ=environ)
    assert result.returncode == 0, result.stderr
    assert result.stdout == f"The classes are already recorded in {archive}\n"


def test_documents_are_of_a_warehouse(environ: dict[str, str]) -> None:
    """Risk: Spark starts for nothing, and dbt's own words are all that a user is told."""
    refused = pipeline("docs", environ=environ)
    assert_refused(refused, 1, "There is nothing to document yet", "Run the pipeline once")


def assert_sqlite_shows_what_s3_shows(environ: Mapping[str, str], total: str) -> None:
    """Each row of both marts is the same in both places as exact text, and the sum is ``total``."""
    customers = ("customer_id", "full_name", "sales_date_month", "total_sales")
    sellers = ("store_id", "sales_person_id", "full_name", "sales_month", "total_sales")
    marts = {"customers_data_mart": customers, "sales_team_data_mart": (*sellers, "incentive")}
    settings = load_settings(PROJECT, environ)
    store = open_store(settings, environ)
    with contextlib.closing(sqlite3.connect(settings.workspace / "database.sqlite")) as database:
        for name, columns in marts.items():
            shown = database.execute(f"select {', '.join(columns)} from {name}").fetchall()
            on_s3 = [
                {**row, "sales_date_month": row["sales_month"]} for row in s3_rows(store, name)
            ]
            assert sorted(tuple(map(str, row)) for row in shown) == sorted(
                tuple(str(row[column]) for column in columns) for row in on_s3
            )
            assert sum(row["total_sales"] for row in on_s3) == Decimal(total)


@pytest.mark.slow
def test_first_and_second_run_of_a_fresh_workspace(tmp_path: Path) -> None:
    """Risk: the first thing that a user sees fails; or SQLite shows another cent than S3; or the
    second run starts Spark for nothing; or each run leaves something in /tmp, where nobody looks
    for it."""
    workspace, temporary = tmp_path / "fresh", tmp_path / "tmp"
    environ = {
        "RETAIL_WORKSPACE": str(workspace),
        "TMPDIR": str(temporary),
        "JDK_JAVA_OPTIONS": f"-Djava.io.tmpdir={temporary}",
    }
    workspace.mkdir()
    temporary.mkdir()
    try:
        first = pipeline("run", "--json", environ=environ)
        assert first.returncode == 3, first.stderr
        found = json.loads(first.stdout)
        assert found["files"]["accepted"] == 8
        assert found["files"]["set aside"] == 1
        assert (found["rows_read"], found["rows_valid"]) == (12_000, 11_966)
        assert found["money"]["valid"] == "466189.41"
        assert found["money"]["balance"] == "0.00"
        assert len(found["months"]) == 6
        assert {seller["incentive"] for seller in found["top_sellers"]} >= {"86.63"}
        assert found["seconds"]["Spark"] > 0

        second = pipeline("run", "--json", environ=environ)
        assert second.returncode == 0, second.stderr
        idle = json.loads(second.stdout)
        assert idle["outcome"] == "Nothing to do: the inbox has no new files"
        assert "Spark" not in idle["seconds"]

        status = json.loads(pipeline("status", "--json", environ=environ).stdout)
        assert sorted({row["status"] for row in status["files"]}) == ["E", "I"]
        assert status["publication"]["amount_total"] == "466189.41"
        assert_sqlite_shows_what_s3_shows(environ, total="466189.41")
        listed = pipeline("publications", environ=environ).stdout.splitlines()
        assert [line.split()[0] for line in listed] == ["version", "1"]
        assert listed[1].endswith(" 11,966  466,189.41  current")
        assert_refused(
            pipeline("rollback", environ=environ), 2, "There is no earlier version to go back to"
        )
        aside = pipeline("quarantine", "list", environ=environ).stdout.splitlines()
        assert "column_count  5 rows in 5 files" in aside
        assert "missing column (whole file)  1 file" in aside
        server = read_server(workspace)
        assert server is not None
        assert list(Path("/tmp").glob(f"weed.*.{server.pid}")) == []
        assert list(temporary.iterdir()) == []
    finally:
        (workspace / "s3.json").unlink(missing_ok=True)  # ends the embedded server
