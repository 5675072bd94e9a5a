"""Descriptions of artifacts, audiences and decisions, for the command line and the dashboard."""
