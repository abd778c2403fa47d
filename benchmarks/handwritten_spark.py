"""The two marts as a good engineer would write them by hand in PySpark: one side of pipeline.py.

It reads local files that are there already, trusts every row, and writes one line table by month
and the two marts as Parquet. Nothing else: no checks, no staging table, no tests, no publication.
handwritten_outputs.py makes and publishes all tables of the pipeline.

Run: python benchmarks/handwritten_spark.py SALES_DIR DIMENSIONS_DIR OUT_DIR
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from pyspark.sql import DataFrame, SparkSession, Window, functions

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from ingestion.warehouse.spark import read_target, start_session

SALES = (
    "customer_id int, store_id int, product_name string, sales_date date, sales_person_id int, "
    "price decimal(18,4), quantity int, total_cost decimal(18,2)"
)
CUSTOMERS = (
    "customer_id int, first_name string, last_name string, address string, pincode string, "
    "phone_number string, customer_joining_date date"
)
SELLERS = (
    "id int, first_name string, last_name string, manager_id int, is_manager string, "
    "seller_address string, pincode string, joining_date date"
)
STORES = (
    "id int, store_address string, store_pincode string, store_manager_name string, "
    "store_opening_date date, reviews string"
)


def open_session(out: Path) -> SparkSession:
    """Start Spark with the settings that the pipeline has for large work, on empty state."""
    os.environ["RETAIL_WORKSPACE"] = str(out / "spark")
    os.environ["RETAIL_WORK_SIZE"] = "large"
    profiles = out / "profiles"
    profiles.mkdir(parents=True)
    example = Path(__file__).resolve().parents[1] / "profiles.example.yml"
    (profiles / "profiles.yml").write_text(example.read_text())
    return start_session(read_target(profiles, os.environ), os.environ, out / "spark.log")


def main(sales_folder: Path, dimensions: Path, out: Path) -> None:
    """Read, join, aggregate, write."""
    spark = open_session(out)

    def dimension(name: str, columns: str) -> DataFrame:
        path = str(dimensions / f"{name}.csv")
        return functions.broadcast(spark.read.csv(path, columns, header=True))

    customers = dimension("customer", CUSTOMERS)
    sellers = dimension("sales_team", SELLERS)
    stores = dimension("store", STORES)
    sales = spark.read.csv(str(sales_folder), SALES, header=True).withColumn(
        "sales_month", functions.date_format("sales_date", "yyyy-MM")
    )
    lines = (
        sales.join(customers, "customer_id", "left")
        .join(sellers, sales.sales_person_id == sellers["id"], "left")
        .join(stores, sales.store_id == stores["id"], "left")
        .select(
            *sales.columns[:-1],
            functions.concat_ws(" ", customers["first_name"], customers["last_name"]).alias(
                "customer_name"
            ),
            customers["address"],
            customers["phone_number"],
            functions.concat_ws(" ", sellers["first_name"], sellers["last_name"]).alias(
                "seller_name"
            ),
            "store_address",
            "store_manager_name",
            "sales_month",
        )
    )
    lines.repartition("sales_month").write.partitionBy("sales_month").parquet(str(out / "lines"))
    written = spark.read.parquet(str(out / "lines"))
    written.groupBy("customer_id", "customer_name", "address", "phone_number", "sales_month").agg(
        functions.sum("total_cost").alias("total_sales")
    ).write.parquet(str(out / "customers"))
    months = written.groupBy("store_id", "sales_person_id", "seller_name", "sales_month").agg(
        functions.sum("total_cost").alias("total_sales")
    )
    best = Window.partitionBy("store_id", "sales_month").orderBy(functions.desc("total_sales"))
    ranked = months.withColumn("rank_in_store", functions.rank().over(best))
    rate = functions.when(
        functions.col("rank_in_store") == 1, functions.lit("0.01").cast("decimal(9,6)")
    ).otherwise(0)
    ranked.withColumn(
        "incentive", functions.round(functions.col("total_sales") * rate, 2)
    ).write.parquet(str(out / "sellers"))
    spark.stop()


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:4]))
