"""The machine: files, locks, memory, cores, threads and processes."""
