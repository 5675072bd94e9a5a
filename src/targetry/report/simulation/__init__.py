"""Simulations of tests, which count how often the figures of a report are wrong."""
