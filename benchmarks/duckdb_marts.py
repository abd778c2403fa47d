"""The same outputs as handwritten_spark.py by DuckDB: one side of pipeline.py.

Run: python benchmarks/duckdb_marts.py SALES_DIR DIMENSIONS_DIR OUT_DIR
"""

from __future__ import annotations

import sys
from pathlib import Path

import duckdb

COLUMNS = (
    "{'customer_id': 'int', 'store_id': 'int', 'product_name': 'varchar', 'sales_date': 'date', "
    "'sales_person_id': 'int', 'price': 'decimal(18,4)', 'quantity': 'int', "
    "'total_cost': 'decimal(18,2)'}"
)


def main(sales: Path, dimensions: Path, out: Path) -> None:
    """Read, join, aggregate, write."""
    out.mkdir(parents=True)
    db = duckdb.connect(str(out / "marts.duckdb"))
    for name in ("customer", "sales_team", "store"):
        db.execute(f"create table {name} as from read_csv('{dimensions / name}.csv')")
    db.execute(f"""
        copy (
            select
                sales.*,
                concat_ws(' ', customer.first_name, customer.last_name) as customer_name,
                customer.address,
                customer.phone_number,
                concat_ws(' ', sales_team.first_name, sales_team.last_name) as seller_name,
                store.address as store_address,
                store.store_manager_name,
                strftime(sales.sales_date, '%Y-%m') as sales_month
            from read_csv('{sales}/*.csv', header = true, columns = {COLUMNS}) as sales
            left join customer using (customer_id)
            left join sales_team on sales.sales_person_id = sales_team.id
            left join store on sales.store_id = store.id
        ) to '{out}/lines' (format parquet, partition_by (sales_month))
    """)
    lines = f"read_parquet('{out}/lines/*/*.parquet', hive_types_autocast = false)"
    db.execute(f"""
        copy (
            select
                customer_id, customer_name, address, phone_number, sales_month,
                sum(total_cost) as total_sales
            from {lines}
            group by all
        ) to '{out}/customers.parquet'
    """)
    db.execute(f"""
        copy (
            with months as (
                select
                    store_id, sales_person_id, seller_name, sales_month,
                    sum(total_cost) as total_sales
                from {lines}
                group by all
            ),
            ranked as (
                select
                    *,
                    rank() over (
                        partition by store_id, sales_month order by total_sales desc
                    ) as rank_in_store
                from months
            )
            select
                *,
                round(total_sales * if(rank_in_store = 1, 0.01, 0.00), 2) as incentive
            from ranked
        ) to '{out}/sellers.parquet'
    """)


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:4]))
