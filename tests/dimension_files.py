"""A small star as CSV files, and the contract of its tables with a column of each type."""

from __future__ import annotations

from pathlib import Path

import pyarrow.parquet as pq

CONTRACT = """
sources:
  - name: retail
    tables:
      - name: customer
        columns:
          - {name: customer_id, data_type: int, config: {meta: {key: true}}}
          - {name: first_name, data_type: string, config: {meta: {required: true}}}
          - {name: phone_number, data_type: string, config: {meta: {personal: true}}}
          - {name: birth_date, data_type: date, config: {meta: {personal: true}}}
      - name: product
        columns:
          - {name: id, data_type: int, config: {meta: {key: true, aliases: [Product]}}}
          - {name: name, data_type: string}
          - {name: current_price, data_type: 'decimal(18,4)', config: {meta: {minimum: "0"}}}
          - {name: created_date, data_type: date, config: {meta: {maximum: "2099-12-31"}}}
      - name: store
        columns:
          - {name: id, data_type: bigint, config: {meta: {key: true}}}
          - {name: is_open, data_type: boolean}
      - name: sales_team
        columns:
          - {name: id, data_type: string, config: {meta: {key: true}}}
          - {name: 'share %', data_type: string}
"""
FILES = {
    "customer": "customer_id,first_name,phone_number,birth_date\n1,José,007,\n2,jose,,2000-02-29\n",
    "product": "id,name,current_price,created_date\n"
    '7,"tray 12"", steel",19.99,2024-01-31\n8,☕ 100 %,99999999999999.9999,\n9,,,\n',
    "store": "is_open,id\ntrue,3000000000\n,4\n",
    "sales_team": "id,share %\nKim,50%\nkim,:x\n",
}


def write_folder(tmp_path: Path, **files: str | bytes | None) -> Path:
    """A folder with the good files, some replaced, or left out where None."""
    folder = tmp_path / "dimensions"
    folder.mkdir(exist_ok=True)
    for table, content in {**FILES, **files}.items():
        path = folder / f"{table}.csv"
        path.unlink(missing_ok=True)
        if content is not None:
            path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return folder


def rows_of(paths: dict[str, Path], table: str) -> list[tuple[object, ...]]:
    """The rows of an exported table."""
    return [tuple(row.values()) for row in pq.read_table(paths[table]).to_pylist()]
