"""Fixtures of `pytest_targetry`, by the name that `conftest.py` files may have."""

from pytest_targetry import target, target_edge

__all__ = ["target", "target_edge"]
