"""Processes, threads, locks, ids and input checks: the ground that all other rooms stand on."""
