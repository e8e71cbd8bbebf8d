"""Storage: one snapshot to read from, one unit of work to write in, its repositories, and doors."""
