"""All that the pipeline publishes, written and published by hand: one side of pipeline.py.

Like handwritten_spark.py it reads local files, trusts every row and tests nothing. But it makes
what the pipeline makes of them (facts of a line each, two line marts in the same layout, two month
marts, four reports), uploads the Parquet files with boto3 and loads the month marts and reports
with one ``LOAD DATA`` each into new tables. There is no quarantine, since nothing is checked.

Run: python benchmarks/handwritten_outputs.py SALES_DIR DIMENSIONS_DIR OUT_DIR, with a pipeline's
settings (RETAIL_BUCKET, RETAIL_DATABASE_URL, ...) in the environment.
"""

from __future__ import annotations

import os
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import boto3
import pyarrow as pa
import pyarrow.dataset as ds
import sqlalchemy as sa

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.bare_database import connect_bare
from benchmarks.handwritten_spark import CUSTOMERS, SALES, SELLERS, STORES, open_session
from ingestion.database.row_text import as_lines

UPLOADS = 4
FACTS = """
select
    input_file_name() as file_name,
    monotonically_increasing_id() as line_number,
    *,
    date_format(sales_date, 'yyyy-MM') as sales_month
from sales distribute by sales_month
"""
CUSTOMER_LINES = """
select /*+ broadcast(customers) */
    customer_id, concat_ws(' ', first_name, last_name) as full_name, address, phone_number,
    store_id, sales_person_id, product_name, sales_date, price, quantity, total_cost,
    file_name, line_number, sales_month
from (select * from facts distribute by sales_month, pmod(hash(customer_id), 10))
left join customers using (customer_id)
"""
SELLER_LINES = """
select /*+ broadcast(sellers), broadcast(stores) */
    sales_person_id, concat_ws(' ', first_name, last_name) as full_name, manager_id, store_address,
    store_manager_name, customer_id, product_name, sales_date, price, quantity, total_cost,
    file_name, line_number, sales_month, store_id
from (select * from facts distribute by sales_month, store_id) as lines
left join sellers on sellers.id = sales_person_id
left join stores on stores.id = store_id
"""
CUSTOMER_MONTHS = """
select /*+ broadcast(customers) */
    customer_id, concat_ws(' ', first_name, last_name) as full_name, address, phone_number,
    total_sales, sales_count, days_with_sales, first_sales_date, last_sales_date, sales_month
from (
    select
        customer_id, sum(total_cost) as total_sales, count(*) as sales_count,
        bit_count(bit_or(shiftleft(1, day(sales_date) - 1))) as days_with_sales,
        min(sales_date) as first_sales_date, max(sales_date) as last_sales_date, sales_month
    from customer_lines group by customer_id, sales_month
)
left join customers using (customer_id)
distribute by sales_month sort by sales_month, customer_id
"""
SELLER_MONTHS = """
select /*+ broadcast(sellers), broadcast(stores) */
    store_id, sales_person_id, concat_ws(' ', first_name, last_name) as full_name, store_address,
    store_manager_name, sales_month, total_sales, sales_count, rank_in_store,
    round(total_sales * if(rank_in_store = 1, 0.01BD, 0.00BD), 2) as incentive
from (
    select
        *, rank() over (partition by store_id, sales_month order by total_sales desc)
            as rank_in_store
    from (
        select
            store_id, sales_person_id, sales_month, sum(total_cost) as total_sales,
            count(*) as sales_count
        from seller_lines group by store_id, sales_person_id, sales_month
    )
)
left join sellers on sellers.id = sales_person_id
left join stores on stores.id = store_id
"""
BY_PRODUCT = """
select
    *, rank() over (partition by store_id, sales_month order by total_sales desc) as rank_in_store
from (
    select
        store_id, product_name, sum(total_cost) as total_sales, sum(quantity) as quantity,
        count(*) as sales_count, sales_month
    from seller_lines group by store_id, product_name, sales_month
)
"""
BY_CUSTOMER = """
select /*+ broadcast(customers) */
    customer_id, concat_ws(' ', first_name, last_name) as full_name, months.* except (customer_id)
from (
    select
        customer_id, min(first_sales_date) as first_sales_date,
        max(last_sales_date) as last_sales_date, sum(days_with_sales) as days_with_sales,
        sum(sales_count) as sales_count, sum(total_sales) as total_sales,
        max(struct(sales_month, total_sales)).total_sales as last_month_sales
    from customer_months group by customer_id
) as months
left join customers using (customer_id)
"""
BY_SELLER = """
select
    store_id, sales_person_id, sales_month, full_name, total_sales, incentive, rank_in_store,
    rank() over (partition by sales_month order by total_sales desc) as rank_overall
from seller_months
"""
BY_STORE = """
select
    *, sum(total_sales) over (partition by store_id order by sales_month) as running_total,
    lag(total_sales) over (partition by store_id order by sales_month) as previous_sales
from (
    select
        store_id, sales_month, store_address, store_manager_name,
        sum(total_sales) as total_sales, sum(incentive) as incentive
    from seller_months group by store_id, sales_month, store_address, store_manager_name
)
"""
# name, query, columns of the folders, and the key in the database: () for a table that goes to S3
# alone, None for one that nobody publishes
TABLES = (
    ("facts", FACTS, ("sales_month",), None),
    ("customer_lines", CUSTOMER_LINES, ("sales_month",), ()),
    ("seller_lines", SELLER_LINES, ("sales_month", "store_id"), ()),
    ("customer_months", CUSTOMER_MONTHS, ("sales_month",), ("sales_month", "customer_id")),
    ("seller_months", SELLER_MONTHS, (), ("sales_month", "store_id", "sales_person_id")),
    ("by_product", BY_PRODUCT, (), ("sales_month", "store_id", "product_name")),
    ("by_customer", BY_CUSTOMER, (), ("customer_id",)),
    ("by_seller", BY_SELLER, (), ("sales_month", "store_id", "sales_person_id")),
    ("by_store", BY_STORE, (), ("sales_month", "store_id")),
)


def main(sales: Path, dimensions: Path, out: Path) -> None:
    """Read, write each table, then upload and load."""
    spark = open_session(out)
    for view, path, columns in (
        ("sales", sales, SALES),
        ("customers", dimensions / "customer.csv", CUSTOMERS),
        ("sellers", dimensions / "sales_team.csv", SELLERS),
        ("stores", dimensions / "store.csv", STORES),
    ):
        spark.read.csv(str(path), columns, header=True).createOrReplaceTempView(view)
    for name, query, folders, _ in TABLES:
        written = spark.sql(query).write
        (written.partitionBy(*folders) if folders else written).parquet(str(out / name))
        spark.read.parquet(str(out / name)).createOrReplaceTempView(name)
    spark.stop()
    upload(out, [name for name, _, _, key in TABLES if key is not None])
    load(out)


def upload(out: Path, names: list[str]) -> None:
    """Every Parquet file goes to the bucket."""
    client = boto3.client(
        "s3", endpoint_url=os.environ["RETAIL_S3_ENDPOINT_URL"], region_name="us-east-1"
    )
    bucket = os.environ["RETAIL_BUCKET"]
    files = [file for name in names for file in (out / name).rglob("*.parquet")]
    with ThreadPoolExecutor(UPLOADS) as threads:
        for _ in threads.map(
            lambda file: client.upload_file(str(file), bucket, str(file.relative_to(out))), files
        ):
            pass


def load(out: Path) -> None:
    """Each table with a key goes to a new table of the database, in the order of its key."""
    connection = connect_bare(sa.make_url(os.environ["RETAIL_DATABASE_URL"]))
    with connection, connection.cursor() as cursor:
        for name, _, folders, key in TABLES:
            if not key:
                continue
            layout = ds.partitioning(
                pa.schema([(folder, pa.string()) for folder in folders]), flavor="hive"
            )
            rows = ds.dataset(out / name, format="parquet", partitioning=layout).to_table()
            rows = rows.sort_by([(column, "ascending") for column in key])
            columns = ", ".join(f"{field.name} {column_type(field.type)}" for field in rows.schema)
            cursor.execute(f"create table {name} ({columns}, primary key ({', '.join(key)}))")
            text = out / f"{name}.txt"
            with text.open("wb") as file:
                for batch in rows.to_batches():
                    lines = as_lines(pa.Table.from_batches([batch]))
                    file.write("".join(lines.to_pylist()).encode())
            cursor.execute(
                f"load data local infile '{text}' into table {name} character set utf8mb4"
            )
            assert cursor.rowcount == rows.num_rows
        connection.commit()


def column_type(kind: pa.DataType) -> str:
    """A column's type in the database."""
    if pa.types.is_decimal(kind):
        return f"decimal({kind.precision}, {kind.scale})"
    names = {pa.int32(): "int", pa.int64(): "bigint", pa.date32(): "date"}
    return names.get(kind, "varchar(255)")


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:4]))
