"""Built marts made visible: as objects on S3 and tables in the database, in versions."""
