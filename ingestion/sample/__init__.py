"""Makes a small retail star: dimension CSVs, and sales files with a known share of damage."""
