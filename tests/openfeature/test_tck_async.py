"""Scenarios of OpenFeature's provider TCK with the asynchronous getters."""

from __future__ import annotations

import pytest
from pytest_bdd import scenarios

from support.openfeature_tck import TCK

if not TCK.is_dir():
    pytest.skip("the data of OpenFeature's provider TCK is not here", allow_module_level=True)

scenarios(str(TCK / "gherkin"))


@pytest.fixture
def is_async() -> bool:
    return True
