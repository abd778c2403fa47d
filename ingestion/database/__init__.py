"""The database: its engine, bulk loading, the staging table and the state of batches."""
