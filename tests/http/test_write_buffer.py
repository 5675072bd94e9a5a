from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from targetry.http.write_buffer import Unsent


@given(st.lists(st.tuples(st.binary(max_size=100), st.integers(1, 1000)), max_size=20))
def test_nothing_is_lost_or_changes_places_and_little_waits(pieces: list[tuple[bytes, int]]) -> None:
    unsent, sent = Unsent(), b""
    for piece, times in pieces:
        if unsent.add(piece * times):
            sent += unsent.take()
        assert unsent.size < 64 * 1024
    sent += unsent.take()
    assert sent == b"".join(piece * times for piece, times in pieces)
    assert (unsent.size, unsent.take()) == (0, b"")
