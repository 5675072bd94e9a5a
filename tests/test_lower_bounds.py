from __future__ import annotations

from support.lower_bounds import lower_bounds


def test_every_dependency_has_one_lower_bound() -> None:
    assert lower_bounds().keys() >= {"httpx2", "msgspec", "typer", "starlette", "scipy", "aiohttp", "socksio"}
