"""Logs and metrics of an edge."""
