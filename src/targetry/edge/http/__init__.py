"""Connections, limits, access policy and middleware of an edge."""
