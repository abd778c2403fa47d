"""Objects of one bucket, on S3 or on the server that lives in the workspace."""
