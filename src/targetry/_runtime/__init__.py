"""Forks, threads, locks, files, retry timing, ids and validators, for all other packages."""
