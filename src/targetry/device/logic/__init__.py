"""Compiled JSON Logic with JavaScript's semantics, and the facts of a request that rules read."""
