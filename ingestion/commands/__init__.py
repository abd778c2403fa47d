"""What the command line offers beside a run; each module is one command's work."""
