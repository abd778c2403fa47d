"""Spark, its tables outside the models, and the one call of dbt."""
