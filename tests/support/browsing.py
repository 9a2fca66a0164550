"""Pages in a browser."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any


@contextmanager
def opened(browser: Any, file: Path, **options: Any) -> Iterator[Any]:
    """The page in a fresh profile; whatever it asks of the network or complains about fails the test."""
    context = browser.new_context(**options)
    context.set_default_timeout(5000)
    page = context.new_page()
    trouble: list[str] = []
    page.on("pageerror", lambda error: trouble.append(str(error)))
    page.on("console", lambda message: trouble.append(message.text))
    page.on("request", lambda r: None if r.url.startswith(("data:", file.as_uri())) else trouble.append(r.url))
    page.goto(file.as_uri())
    try:
        yield page
        assert trouble == []
    finally:
        context.close()
