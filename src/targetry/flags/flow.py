"""Drivers of flows: generators that yield what a synchronous or asynchronous caller waits for.

A flow gets the result of each step sent, or its exception thrown, and returns the final value.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Generator
from typing import Any, TypeVar

S = TypeVar("S")
T = TypeVar("T")


def drive(flow: Generator[S, Any, T], wait: Callable[[S], object]) -> T:
    """Run a flow to its end; `wait` returns the result of a step, or raises."""
    try:
        step = next(flow)
        while True:
            try:
                result = wait(step)
            except Exception as error:
                step = flow.throw(error)
            else:
                step = flow.send(result)
    except StopIteration as end:
        value: T = end.value
        return value


async def drive_async(flow: Generator[S, Any, T], wait: Callable[[S], Awaitable[object]]) -> T:
    """Run a flow to its end, as `drive` does, and await its steps."""
    try:
        step = next(flow)
        while True:
            try:
                result = await wait(step)
            except Exception as error:
                step = flow.throw(error)
            else:
                step = flow.send(result)
    except StopIteration as end:
        value: T = end.value
        return value
