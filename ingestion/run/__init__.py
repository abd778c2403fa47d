"""The steps of a run and of a compaction, and what they hand to each other."""
