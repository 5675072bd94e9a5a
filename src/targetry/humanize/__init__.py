"""Artifacts, audiences and decisions described in words, for the command line and the dashboard. Pure."""
