"""The machine: files, locks, memory, cores, threads and processes; and what takes its time, told."""
