"""An object that S3 does not give out keeps no other file waiting; what it does not let go is an
error, for it would be taken again."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from ingestion.errors import PipelineError
from ingestion.run import delivery_steps as deliveries
from ingestion.run.services import Services
from ingestion.run.summary import RunSummary
from tests.failing_proxies import Proxy, each, s3_proxy
from tests.ingestion.conftest import opened_services
from tests.run_without_spark import HEADER, run, s3_rows, sale
from tests.services import Bucket

FROZEN = "sales_data/frozen.csv"


@pytest.fixture
def shop(
    s3_bucket: Bucket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[tuple[Services, Proxy]]:
    """Services behind a proxy, and the proxy."""
    with s3_proxy(s3_bucket.endpoint) as (url, proxy):
        environ = s3_bucket.environment | {"RETAIL_S3_ENDPOINT_URL": url}
        for opened in opened_services(environ, tmp_path, monkeypatch):
            yield opened, proxy


def put(bucket: Bucket, **costs: int) -> None:
    """Puts a file with one sale of this cost, by name."""
    for name, cost in costs.items():
        bucket.put(f"sales_data/{name}.csv", (HEADER + sale(cost, "2024-04-03", cost)).encode())


def refuse(proxy: Proxy, bucket: Bucket, kind: str, method: str, key: str = FROZEN) -> None:
    """From now on this call is refused for this object."""
    proxy.plan(each(kind, f"{method} /{bucket.name}/{key}"))


def totals(services: Services) -> list[int]:
    """What the mart says, by customer."""
    return sorted(int(row["total_sales"]) for row in s3_rows(services.store, "customers_data_mart"))


def told(summary: RunSummary) -> tuple[int, list[str]]:
    """The exit code and the warnings."""
    return summary.exit_code, list(summary.warnings)


@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        (
            "InvalidObjectState",
            "it lies in an archive. Expected: a storage class that can be read at once. Found: "
            "InvalidObjectState. Restore the object, or take it out of the inbox.",
        ),
        (
            "KMS.DisabledException",
            "its encryption key cannot be used. Expected: an enabled key with kms:Decrypt and "
            "kms:GenerateDataKey for this account. Found: KMS.DisabledException. Check the key and "
            "its policy, or take the object out of the inbox.",
        ),
        (
            "AccessDenied",
            "access denied. Expected: permission to list, get, put and delete in the bucket "
            "{bucket}. Found: AccessDenied. Check the credentials and the policy of the bucket.",
        ),
    ],
)
def test_a_file_that_cannot_be_read_stays_and_the_others_count(
    shop: tuple[Services, Proxy], s3_bucket: Bucket, kind: str, reason: str
) -> None:
    """Risk: one sender's object in an archive ends every run of all senders, for ever."""
    services, proxy = shop
    put(s3_bucket, a=1, frozen=2, z=4)
    refuse(proxy, s3_bucket, kind, "GET")
    location = services.store.location(FROZEN)
    warning = (
        f"{FROZEN} stays in the inbox: S3 failed while reading {location}: "
        f"{reason.format(bucket=s3_bucket.name)}"
    )
    summary = run(services)
    assert told(summary) == (3, [warning])
    assert summary.files["not given out"] == 1
    assert totals(services) == [1, 4]
    assert s3_bucket.keys("sales_data/") == [FROZEN]
    summary = run(services)
    assert told(summary) == (3, [warning]), "each run tries it, and tells"
    proxy.plan(None)
    assert told(run(services)) == (0, [])
    assert totals(services) == [1, 2, 4]


def test_of_many_that_cannot_be_read_some_are_named(
    shop: tuple[Services, Proxy], s3_bucket: Bucket
) -> None:
    """Risk: an account without the right to read fills the log with each of its files."""
    services, proxy = shop
    put(s3_bucket, **{f"f{number}": number for number in range(1, 9)})
    refuse(proxy, s3_bucket, "AccessDenied", "GET", "sales_data/f")
    code, warnings = told(run(services))
    assert (code, len(warnings)) == (3, 6)
    assert warnings[-1] == "3 more files stay in the inbox like these"


def test_a_file_of_an_unfinished_batch_that_cannot_be_read_ends_the_run(
    shop: tuple[Services, Proxy], s3_bucket: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Risk: another machine that may not read it says that it is gone, and sets it aside."""
    services, proxy = shop
    put(s3_bucket, frozen=2)

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(deliveries, "check_files", killed)
        with pytest.raises(KeyboardInterrupt):
            run(services)
    for path in services.workspace.downloads.iterdir():
        path.unlink()
    refuse(proxy, s3_bucket, "AccessDenied", "GET")
    with pytest.raises(PipelineError, match="access denied"):
        run(services)
    proxy.plan(None)
    assert told(run(services)) == (0, [])
    assert totals(services) == [2]


def test_a_file_that_cannot_be_removed_ends_the_run_and_counts_once(
    shop: tuple[Services, Proxy], s3_bucket: Bucket
) -> None:
    """Risk: it lies in the inbox for good, and is taken for a new delivery once its content counts
    nowhere else: after a correction of the file that it repeats, say."""
    services, proxy = shop
    put(s3_bucket, a=2)
    run(services)
    s3_bucket.put(FROZEN, s3_bucket.get("sales_data_processed/a.csv"))
    refuse(proxy, s3_bucket, "AccessDenied", "DELETE")
    for _ in range(2):
        with pytest.raises(PipelineError, match=r"while deleting .*frozen\.csv: access denied"):
            run(services)
    proxy.plan(None)
    assert run(services).exit_code == 0
    assert s3_bucket.keys("sales_data/") == []
    put(s3_bucket, a=5)
    run(services)
    assert totals(services) == [5]


def test_where_no_file_can_be_archived_the_run_fails(
    shop: tuple[Services, Proxy], s3_bucket: Bucket
) -> None:
    """Risk: an account that may not write to the archive is told by a warning alone, each day."""
    services, proxy = shop
    put(s3_bucket, a=1)
    refuse(proxy, s3_bucket, "AccessDenied", "PUT", "sales_data_processed/a.csv")
    with pytest.raises(PipelineError, match=r"failed while copying .*a\.csv: access denied"):
        run(services)
    proxy.plan(None)
    assert run(services).exit_code == 0
    assert s3_bucket.keys("sales_data/") == []
    assert totals(services) == [1]
