"""Decisions on device: pure functions from artifact, request, time and ids to a response."""
