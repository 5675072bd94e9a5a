"""Compiler of activities: from files to rule artifacts and back."""
