"""Moves and checks sales files, keeps the staging table and calls dbt; holds no business rule."""
