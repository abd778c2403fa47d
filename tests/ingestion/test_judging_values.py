"""A run judges all sales by the same dimensions and settings: it builds all where they changed."""

from __future__ import annotations

import dataclasses
import datetime as dt

import pytest
import sqlalchemy as sa

from ingestion.run import mart_steps as marts
from ingestion.run.services import Services
from tests.checked_runs import cut_short, put, scope, started
from tests.conftest import PROJECT
from tests.run_without_spark import new_run, run


@pytest.fixture
def with_dimensions(services: Services) -> Services:
    """The project's own dimensions, of one store."""
    settings = services.settings.model_copy(update={"project": PROJECT})
    found = dataclasses.replace(services, settings=settings)
    export(found)
    return found


def export(services: Services, **values: object) -> None:
    """Brings the dimensions to this workspace, after the one store has got these values."""
    engine = services.engine
    marts.export_dimensions(new_run(services))
    with engine.begin() as connection:
        store = sa.table("store", *(sa.column(name) for name in ("id", *values)))
        if not connection.execute(sa.select(store.c.id)).first():
            connection.execute(store.insert().values(id=121))
        if values:
            connection.execute(store.update().values(**values))
    marts.export_dimensions(new_run(services))


def test_a_row_that_the_models_leave_out_is_told_at_each_build(with_dimensions: Services) -> None:
    """Risk: a store that somebody numbered -1 shows as unknown, and nobody learns why."""
    export(with_dimensions, id=-1)
    state = new_run(with_dimensions)
    marts.export_dimensions(state)
    assert state.warnings == [
        "the table store has a row with id -1, which stands for what is unknown: the row is left "
        "out; give it another key"
    ]


def test_other_dimensions_than_those_of_the_run_cut_short(with_dimensions: Services) -> None:
    """Risk: a wrong table was loaded, the run was killed, and lines keep its addresses for good."""
    put(with_dimensions, "a.csv", "2024-03-05")
    run(with_dimensions)
    put(with_dimensions, "b.csv", "2024-03-06")
    export(with_dimensions, address="wrong")
    assert scope(cut_short(with_dimensions)) == [2]
    assert scope(started(with_dimensions)) == [2], "the same command again"
    export(with_dimensions, address="right")
    assert scope(started(with_dimensions)) is None


def test_a_value_that_decides_which_sales_count_judges_all_of_them(
    with_dimensions: Services,
) -> None:
    """Risk: an opening day that was mended judges old sales at the next rebuild, weeks later."""
    put(with_dimensions, "a.csv", "2024-03-05")
    run(with_dimensions)
    put(with_dimensions, "b.csv", "2024-03-06")
    export(with_dimensions, address="Quay Street")
    assert scope(started(with_dimensions)) == [2]
    with with_dimensions.engine.begin() as connection:
        connection.execute(sa.text("insert into store (id) values (122)"))
    export(with_dimensions)
    assert scope(started(with_dimensions)) == [2], "a new store judges nothing yet"
    export(with_dimensions, store_opening_date=dt.date(2024, 3, 6))
    assert scope(started(with_dimensions)) is None


def test_settings_that_give_files_another_day_judge_all_of_them(services: Services) -> None:
    """Risk: a business date that was given for a trial stays in the sales, until some rebuild."""
    put(services, "a.csv", "2024-03-05")
    run(services)
    put(services, "b.csv", "2024-03-06")
    assert scope(started(services)) == [2]
    for change in ({"time_zone": "Asia/Kolkata"}, {"business_date": dt.date(2024, 3, 31)}):
        settings = services.settings.model_copy(update=change)
        assert scope(started(dataclasses.replace(services, settings=settings))) is None
