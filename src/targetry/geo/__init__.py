"""Geo lookups of IP addresses: over the network, from a MaxMind database, and their cache."""
