"""Reads one sales file strictly: its rows as bronze Parquet, or the reasons why not."""
