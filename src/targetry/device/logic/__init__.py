"""Compilation and evaluation of JSON Logic conditions, and the facts that they read."""
