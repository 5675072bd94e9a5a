from __future__ import annotations

import io
import subprocess
import sys
from contextlib import redirect_stdout

import mmh3
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from targetry.device.logic.murmur3 import murmur3


@given(st.binary(max_size=300), st.integers(0, 2**32 - 1))
@example(b"\xff\xff\xff", 0)
def test_hash_equals_that_of_the_extension(data: bytes, seed: int) -> None:
    assert murmur3(data, seed) == mmh3.hash(data, seed)


@pytest.mark.parametrize(("data", "value"), [(b"", 0), (b"a", 1009084850), (b"abcd", 1139631978)])
def test_hash_of_known_data(data: bytes, value: int) -> None:
    assert murmur3(data) == value


def test_decisions_are_the_same_without_the_extension() -> None:
    program = (
        "from targetry import TargetClient, samples\n"
        "client = TargetClient.create(client='acme', organization_id='1@AdobeOrg', decisioning_method='on-device',\n"
        "    artifact_payload=samples.shop(), polling_interval=0, send_notification_func=print)\n"
        "visitors = [client.visitor(tnt_id=f'visitor {number} \\U0001f600') for number in range(100)]\n"
        "print([client.decide('hero', one, shown=False).experience.id for one in visitors])"
    )
    without = "import sys; sys.modules['mmh3'] = None\n"
    command = [sys.executable, "-c", without + program]
    found = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    with redirect_stdout(io.StringIO()) as printed:
        exec(program, {})  # noqa: S102  it is the text above
    assert printed.getvalue() == found
    assert len(set(found)) > 3
