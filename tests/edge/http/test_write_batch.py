from __future__ import annotations

import asyncio

from targetry.edge.http.write_batch import WriteBatch


class Transport:
    """Transport that notes when it has written."""

    has_written = False

    def release_writes(self) -> None:
        self.has_written = True


def test_response_of_the_only_request_is_written_at_once() -> None:
    async def serve() -> None:
        batch, transport = WriteBatch(), Transport()
        batch.start_request()
        batch.finish_request(transport, asyncio.get_running_loop())
        assert transport.has_written

    asyncio.run(serve())


def test_responses_of_one_turn_are_written_after_the_last_of_them() -> None:
    async def serve() -> None:
        batch, first, last = WriteBatch(), Transport(), Transport()
        batch.start_request()
        batch.start_request()
        batch.finish_request(first, asyncio.get_running_loop())
        assert not first.has_written
        batch.finish_request(last, asyncio.get_running_loop())
        assert first.has_written
        assert last.has_written

    asyncio.run(serve())


def test_response_does_not_wait_for_a_request_of_a_later_turn() -> None:
    async def serve() -> None:
        batch, transport = WriteBatch(), Transport()
        batch.start_request()  # it takes longer
        for _ in range(2):
            transport.has_written = False
            batch.start_request()
            batch.finish_request(transport, asyncio.get_running_loop())
            assert not transport.has_written
            await asyncio.sleep(0)
            assert transport.has_written

    asyncio.run(serve())
