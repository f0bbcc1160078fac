"""Pages as one iteration: each next page is asked for when it is needed."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import TYPE_CHECKING, Protocol, TypeVar

if TYPE_CHECKING:
    from typing_extensions import Self

    from fluo_kms._calls import AsyncUnaryUnary, UnaryUnary


class _PageRequest(Protocol):
    page_token: str

    def CopyFrom(self, other: Self, /) -> None: ...  # noqa: N802


class _Page(Protocol):
    @property
    def next_page_token(self) -> str: ...


Request = TypeVar("Request", bound=_PageRequest)
Page = TypeVar("Page", bound=_Page)


def pages(call: UnaryUnary[Request, Page], request: Request, timeout: float | None) -> Iterator[Page]:
    """Yields the response of each page. The request is left as it is."""
    asked = _copy(request)
    while True:
        response = call(asked, timeout=timeout)
        yield response
        if not response.next_page_token:
            return
        asked.page_token = response.next_page_token


async def pages_async(
    call: AsyncUnaryUnary[Request, Page], request: Request, timeout: float | None
) -> AsyncIterator[Page]:
    """Yields as `pages` does, of calls that are awaited."""
    asked = _copy(request)
    while True:
        response = await call(asked, timeout=timeout)
        yield response
        if not response.next_page_token:
            return
        asked.page_token = response.next_page_token


def _copy(request: Request) -> Request:
    copy = type(request)()
    copy.CopyFrom(request)
    return copy
