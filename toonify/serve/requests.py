"""What requests carry: JSON, a photo, how large and how urgent a picture is wanted."""

import asyncio
import time
from pathlib import Path
from typing import Any
from urllib.parse import quote

import msgspec
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request

from toonify.errors import UsageError
from toonify.pages.server import STALL_SECONDS, read_body
from toonify.serve.studio import LARGEST_PREVIEW
from toonify.serve.visitors import MOST_BYTES, RefusedError

_SLOWEST, _GRACE = 4096, 15.0  # bytes a second of an upload, once it has lasted so many seconds
_MOST_JSON = 512 << 10  # bytes of a request


async def read_json(request: Request, kind: Any) -> Any:
    """The JSON of a request as `kind`. Raises UsageError, RefusedError, TimeoutError, ClientDisconnect."""
    if request.headers.get("content-type", "").partition(";")[0].strip() != "application/json":
        raise UsageError("the request is not JSON")
    data = await read_body(request, _MOST_JSON)
    if data is None:
        raise RefusedError(f"over {_MOST_JSON >> 10} KB, which no request needs")
    try:
        return msgspec.json.decode(data, type=kind)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise UsageError(f"the request cannot be read: {error}") from error


async def store_body(request: Request, path: Path) -> None:
    """Write a body to a file that is not there yet. Raises RefusedError, TimeoutError, ClientDisconnect, OSError."""
    began, size, waiting = time.monotonic(), 0, bytearray()
    parts = request.stream()
    with path.open("xb") as file:
        while True:
            async with asyncio.timeout(STALL_SECONDS):
                part = await anext(parts, None)
            if part is None:
                break
            size += len(part)
            waiting += part
            seconds = time.monotonic() - began
            if size > MOST_BYTES:
                raise RefusedError(f"more than {MOST_BYTES >> 20} MB, which no photo needs")
            if seconds > _GRACE and size < _SLOWEST * seconds:
                raise TimeoutError
            if len(waiting) > 1 << 20:
                await run_in_threadpool(file.write, bytes(waiting))
                waiting.clear()
        file.write(waiting)


async def until_gone(request: Request) -> None:
    """Wait until the client has closed the connection; for requests without a body."""
    while (await request.receive())["type"] != "http.disconnect":
        pass


def side_of(request: Request) -> int | None:
    """How large a picture is to be shown; None: at its full size. Raises UsageError."""
    text = request.query_params.get("side", "768")
    if text == "full":
        return None
    if not (text.isascii() and text.isdecimal() and len(text) < 6 and 16 <= int(text) <= LARGEST_PREVIEW):
        raise UsageError(f"side: give a number of pixels from 16 to {LARGEST_PREVIEW}, or full")
    return int(text)


def rank_of(request: Request) -> int:
    """How urgent it is: 0 is what somebody looks at now. Raises UsageError."""
    text = request.query_params.get("rank", "1")
    if text not in ("0", "1", "2"):
        raise UsageError("rank: give 0, 1 or 2")
    return int(text)


def attachment(name: str) -> str:
    """RFC 6266: a name in ASCII for old browsers, and the real one."""
    plain = name.encode("ascii", "replace").decode().replace('"', "_").replace("\\", "_").replace("?", "_")
    return f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(name, safe='')}"
