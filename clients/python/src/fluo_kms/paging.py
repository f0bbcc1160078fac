"""Pages as one iteration: each next page is asked for when it is needed."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Any


def pages(call: Callable[..., Any], request: Any, timeout: float | None) -> Iterator[Any]:
    """Yields the response of each page. The request is left as it is."""
    asked = _copy(request)
    while True:
        response = call(asked, timeout=timeout)
        yield response
        if not response.next_page_token:
            return
        asked.page_token = response.next_page_token


async def pages_async(call: Callable[..., Awaitable[Any]], request: Any, timeout: float | None) -> AsyncIterator[Any]:
    """Iterates over pages of calls that are awaited."""
    asked = _copy(request)
    while True:
        response = await call(asked, timeout=timeout)
        yield response
        if not response.next_page_token:
            return
        asked.page_token = response.next_page_token


def _copy(request: Any) -> Any:
    copy = type(request)()
    copy.CopyFrom(request)
    return copy
