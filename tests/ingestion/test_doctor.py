"""The doctor asks a database for what a run needs, and puts what is wrong into one sentence."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy.engine import make_url

from ingestion.commands.doctor import examine_database, write_a_table
from ingestion.config.settings import Settings, load_settings
from ingestion.database.engine import connect
from ingestion.errors import PipelineError
from tests.conftest import PROJECT
from tests.failing_proxies import RESET, Fault, database_proxy
from tests.services import PIPELINE_GRANTS, MariaDb


@pytest.mark.parametrize("right", PIPELINE_GRANTS.split(", "))
def test_each_right_that_a_run_needs_is_asked_for(mariadb_server: MariaDb, right: str) -> None:
    """Risk: all is well says the doctor, and a run fails for a right in its last step."""
    others = [grant for grant in PIPELINE_GRANTS.split(", ") if grant != right]
    with mariadb_server.new_database(", ".join(others)) as url:
        engine = connect(make_url(url))
        with pytest.raises(PipelineError, match=f"{right.upper()}.* command denied.*the grants"):
            write_a_table(engine)
        engine.dispose()


def settings_of(url: str, folder: Path) -> Settings:
    settings = load_settings(folder, {"RETAIL_DATABASE_URL": url, "RETAIL_WORKSPACE": str(folder)})
    return settings.model_copy(update={"project": PROJECT})


def test_no_other_right_is_asked_for(mariadb_url: str, tmp_path: Path) -> None:
    """Risk: an account without rights that nothing uses (to alter tables, say) is called ill."""
    told = examine_database(settings_of(mariadb_url, tmp_path))
    assert told.endswith(
        " answers and can be written; rows: no dimension tables yet; load them with load-dimensions"
    )


@pytest.mark.parametrize("is_passing", [True, False])
def test_a_database_that_is_lost_when_its_tables_are_listed_is_one_sentence(
    mariadb_server: MariaDb,
    mariadb_url: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    is_passing: bool,
) -> None:
    """Risk: a stack trace, and neither S3 nor Spark is looked at."""
    monkeypatch.setattr("time.sleep", lambda _: None)
    with database_proxy(mariadb_server.port) as (port, proxy):
        url = mariadb_url.replace(f":{mariadb_server.port}/", f":{port}/")
        settings = settings_of(url, tmp_path)

        def is_listing(_: int, came_before: bool, call: str) -> bool:
            return call.lower().startswith("show full tables") and not (is_passing and came_before)

        proxy.plan(Fault(RESET, is_listing))
        if is_passing:
            assert "answers and can be written" in examine_database(settings)
        else:
            with pytest.raises(PipelineError, match=r"^The connection to the database .* was lost"):
                examine_database(settings)
        assert proxy.failed
