"""Deadlines of requests on one event loop: they end their tasks as `asyncio.timeout` does."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from targetry.http.async_transport import DeadlineTimer, TimeLimit
from targetry.http.deadline import Deadline, deadline_after


def limit_of(timer: DeadlineTimer, seconds: float) -> TimeLimit:
    return TimeLimit(timer, Deadline(deadline_after(seconds)))


async def wait(limit: TimeLimit) -> None:
    with limit:
        await asyncio.Event().wait()


def test_waiting_beyond_the_deadline_raises_a_timeout_error() -> None:
    async def main() -> None:
        with pytest.raises(TimeoutError):
            await wait(limit_of(DeadlineTimer(asyncio.get_running_loop()), 0.01))
        task = asyncio.current_task()
        assert task is not None
        assert not task.cancelling()

    asyncio.run(main())


def test_passed_deadline_raises_before_any_wait() -> None:
    async def main() -> None:
        with pytest.raises(TimeoutError), limit_of(DeadlineTimer(asyncio.get_running_loop()), -1):
            pytest.fail("the body ran")

    asyncio.run(main())


def test_later_tasks_may_have_earlier_deadlines() -> None:
    async def main() -> None:
        timer = DeadlineTimer(asyncio.get_running_loop())
        hour = asyncio.create_task(wait(limit_of(timer, 3600)))
        await asyncio.sleep(0)
        outcomes = [wait(limit_of(timer, seconds)) for seconds in (0.05, 0.01, 0.03)]
        ended = await asyncio.gather(*outcomes, return_exceptions=True)
        assert [type(one) for one in ended] == [TimeoutError] * 3
        with pytest.raises(TimeoutError):
            await wait(limit_of(timer, 0.01))
        assert not hour.done()
        hour.cancel()

    asyncio.run(main())


def test_cancellation_from_elsewhere_stays_a_cancellation() -> None:
    async def main() -> None:
        task = asyncio.create_task(wait(limit_of(DeadlineTimer(asyncio.get_running_loop()), 3600)))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(main())


def test_progress_is_noted_before_the_task_is_cancelled() -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        limit, seen = limit_of(DeadlineTimer(loop), 3600), []
        task = asyncio.current_task()
        assert task is not None
        note: Callable[[], object] = lambda: seen.append(task.cancelling())  # noqa: E731
        limit.deadline.note_progress = note
        loop.call_soon(limit.end)  # as the timer does at the deadline
        with pytest.raises(TimeoutError):
            await wait(limit)
        assert seen == [0]

    asyncio.run(main())
