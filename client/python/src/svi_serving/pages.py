"""Lists that come a page at a time."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Callable, Protocol, TypeVar

ItemT = TypeVar("ItemT")


class PageRequest(Protocol):
    page_token: str


class Page(Protocol):
    next_page_token: str


PageT = TypeVar("PageT", bound=Page)


def pages(request: PageRequest, ask: Callable[[], PageT], items: Callable[[PageT], Iterable[ItemT]]) -> Iterator[ItemT]:
    """The items of all pages; `ask` sends `request`, which is moved on from page to page."""
    while True:
        page = ask()
        yield from items(page)
        if not page.next_page_token:
            return
        request.page_token = page.next_page_token
