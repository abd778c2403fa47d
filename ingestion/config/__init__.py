"""Settings, secrets and the file profiles: everything a user writes down before a run."""
