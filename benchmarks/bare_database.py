"""A plain connection to the database, without what the pipeline does around it."""

from __future__ import annotations

from typing import Any

import pymysql
from sqlalchemy.engine import URL


def connect_bare(url: URL) -> pymysql.Connection[Any]:
    """Connect with ``LOAD DATA LOCAL`` allowed."""
    return pymysql.connect(
        host=url.host,
        port=url.port or 3306,
        user=url.username,
        password=str(url.password).encode(),  # as text it would be sent in Latin-1
        database=url.database,
        charset="utf8mb4",
        local_infile=True,
    )
