"""The sample of a first run comes into an empty set-up, and into no other."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import sqlalchemy as sa

from ingestion.commands.demo import fill_first_demo
from ingestion.commands.sample import load_sample
from ingestion.run.run_state import DIMENSION_CONTRACT
from ingestion.run.services import Services
from ingestion.sample.spec import SampleSpec
from ingestion.warehouse.dimensions import load_dimensions
from tests.conftest import PROJECT
from tests.pipeline.conftest import write_dimensions


def test_the_sample_does_not_overwrite_somebodys_own_dimensions(services: Services) -> None:
    """Risk: the first run gives the customers that a user has just loaded other names."""
    embedded = {"uses_embedded_s3": True, "project": PROJECT}
    settings = services.settings.model_copy(update=embedded)
    services = dataclasses.replace(services, settings=settings)
    folder = write_dimensions(services.workspace.root / "dimensions")
    load_dimensions(services.engine, folder, PROJECT / DIMENSION_CONTRACT)
    assert not fill_first_demo(services)
    assert list(services.store.list_objects("sales_data/")) == []

    services.workspace.sample_mark.touch()  # a kill while the sample was loaded
    services.store.put_bytes("sales_data/half.csv", b"")
    assert fill_first_demo(services)
    assert not services.workspace.sample_mark.exists()
    assert len(list(services.store.list_objects("sales_data/"))) == 9 + 1
    with services.engine.begin() as connection:
        customers = connection.execute(sa.text("select count(*) from customer")).scalar()
    assert customers == 200
    assert not fill_first_demo(services), "the inbox is full"


def test_the_sample_fits_one_more_dimension_and_column(services: Services, tmp_path: Path) -> None:
    """Risk: once an analyst has added an attribute or a dimension, neither the demo nor a warm-up
    works; or the new dimension is no part of the load."""
    contract = tmp_path / DIMENSION_CONTRACT
    contract.parent.mkdir(parents=True)
    text = (PROJECT / DIMENSION_CONTRACT).read_text()
    column = "          - name: store_manager_name\n"
    assert column in text
    region = "          - {name: region, data_type: string, description: Of the chain.}\n"
    table = "      - name: warehouse\n        columns:\n"
    table += "          - {name: id, data_type: int, config: {meta: {key: true}}}\n"
    contract.write_text(f"{text.replace(column, region + column).rstrip()}\n{table}")
    settings = services.settings.model_copy(update={"project": tmp_path})
    load_sample(dataclasses.replace(services, settings=settings), SampleSpec(rows=10))
    with services.engine.begin() as connection:
        stores = connection.execute(sa.text("select id, region, address from store")).all()
        assert connection.execute(sa.text("select id from warehouse")).all() == []
    assert len(stores) == SampleSpec().stores
    assert all(region is None and address for _, region, address in stores)
