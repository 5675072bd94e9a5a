"""Geo lookups of IP addresses: over HTTP, from a MaxMind database, and their cache."""
