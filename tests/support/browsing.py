"""Pages in a browser."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any


def opened(browser: Any, file: Path, **options: Any) -> AbstractContextManager[Any]:
    """The page in a fresh profile; whatever it asks of the network or complains about fails the test."""
    return watched(browser, file.as_uri(), own=("data:", file.as_uri()), **options)


@contextmanager
def watched(
    browser: Any,
    address: str,
    *,
    own: tuple[str, ...],
    timeout: int = 30_000,  # on a machine that has other work, too
    overlooked: str | None = None,
    **options: Any,
) -> Iterator[Any]:
    """The page at an address in a fresh profile; whatever it complains about fails the test.

    So does what it asks for and does not begin with one of `own`. `overlooked` is part of complaints that are none.
    `timeout` is in milliseconds.
    """
    context = browser.new_context(**options)
    context.set_default_timeout(timeout)
    page = context.new_page()
    trouble: list[str] = []

    def complain(text: str) -> None:
        if overlooked is None or overlooked not in text:
            trouble.append(text)

    page.on("pageerror", lambda error: trouble.append(str(error)))
    page.on("console", lambda message: complain(message.text))
    page.on("request", lambda request: None if request.url.startswith(own) else trouble.append(request.url))
    page.goto(address)
    try:
        yield page
        assert trouble == []
    finally:
        context.close()
