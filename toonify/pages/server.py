"""One HTTP server for every page that toonify shows from this machine: who may ask, how long, and how it ends.

What a page answers is an ASGI application of its own. `Guard` stands before it: it refuses other sites and names,
and clients that neither send nor take. uvicorn speaks HTTP.
"""

import asyncio
import errno
import ipaddress
import logging
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit

import h11
import uvicorn
from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol

from toonify.errors import UsageError, display

REQUEST_SECONDS = 15.0  # in which the head of a request, and a short body, must have come in, however slowly they drip
STALL_SECONDS = 30.0  # in which a client must send or take the next part of something large
_LAST_SECONDS = 1.0  # in which a client that goes on sending what was refused may read why
_CONNECTIONS = 512  # at once; more are told to come back
_TRIED_PORTS = 20
_SAFE_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Server": "toonify",  # no versions for the curious
}

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Listening:
    """A socket that listens, and what is known of its address."""

    socket: socket.socket
    host: str  # as it was asked for
    port: int
    is_loopback: bool  # whether only this machine reaches it
    is_everywhere: bool  # whether it is on all addresses of this machine

    @property
    def address(self) -> str:
        """What to type into a browser; THIS-MACHINE stands for any name of this machine that others know."""
        host = "THIS-MACHINE" if self.is_everywhere else f"[{self.host}]" if ":" in self.host else self.host
        return f"http://{host}:{self.port}/"


def listen(host: str, port: int, *, or_next: bool = False) -> Listening:
    """Listen on an address of this machine; with `or_next`, on the next free port if that one is taken.

    Raises UsageError if the address cannot be had.
    """
    if not host.strip():
        raise UsageError("--host is empty; give an address of this machine, or 0.0.0.0 for all")
    try:
        host.encode("idna")  # the socket would do it, and raise a TypeError
    except UnicodeError as error:
        name = host.encode(errors="replace")
        raise UsageError(f"--host {display(name)} is no address or name of a machine") from error
    last = min(port + _TRIED_PORTS, 65_536) if or_next and port else port + 1
    for tried in range(port, last):
        try:
            return _listen(host, tried)
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                if tried + 1 < last:
                    continue
                raise UsageError(f"--port {port} is taken by another program; give another") from error
            if error.errno in (errno.EACCES, errno.EPERM):
                raise UsageError(f"--port {port} may not be used; give one over 1023") from error
            raise UsageError(f"--host {display(host)} is no address of this machine: {error.strerror}") from error
    raise AssertionError("one port is always tried")


def _listen(host: str, port: int) -> Listening:
    made = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM)
    try:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.bind((host, port))
        made.listen(128)  # a whole class that presses Send at once
    except BaseException:
        made.close()
        raise
    name = made.getsockname()
    bound = ipaddress.ip_address(name[0])  # the host may be a name, or 127.1
    return Listening(made, host, name[1], bound.is_loopback, bound.is_unspecified)


def is_loopback(host: str) -> bool:
    """Whether an address that a browser asked for is one of this machine alone."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


class Server:
    """Answers with an application until it is told to stop. As a context, it frees its address at the end."""

    def __init__(self, app: ASGIApp, listening: Listening) -> None:
        self.listening = listening
        logging.getLogger("uvicorn").setLevel(logging.CRITICAL)  # who asked for what is nobody's business
        config = uvicorn.Config(
            Guard(app, listening),
            http=_Protocol,
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            date_header=False,
            proxy_headers=False,
            limit_concurrency=_CONNECTIONS,
            h11_max_incomplete_event_size=32_768,
            timeout_keep_alive=10,
            timeout_graceful_shutdown=1,
        )
        self._uvicorn = uvicorn.Server(config)

    @property
    def server_port(self) -> int:
        """The port that it listens on."""
        return self.listening.port

    @property
    def address(self) -> str:
        """What to type into a browser."""
        return self.listening.address

    def serve_forever(self) -> None:
        """Answer until `shutdown`, or Ctrl-C in the main thread (KeyboardInterrupt)."""
        self._uvicorn.run(sockets=[self.listening.socket])

    def shutdown(self) -> None:
        """End `serve_forever`, which runs in another thread."""
        self._uvicorn.should_exit = True

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.listening.socket.close()


class Guard:
    """Lets through to an application only what this machine's own page may ask.

    - The name that was asked for is this machine's, where only this machine may ask: a web site whose name leads to
      127.0.0.1 (DNS rebinding) gets 421.
    - What changes something comes from the page itself (Origin), and so does what is no page (Sec-Fetch-Site).
    - Every answer says that it is not to be guessed at, framed or told of; a client that takes nothing is cut off.
    """

    def __init__(self, app: ASGIApp, listening: Listening) -> None:
        self._app = app
        self._listening = listening

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        started = False

        async def guarded(message: Message) -> None:
            nonlocal started
            if message["type"] == "http.response.start":
                started = True
                headers = MutableHeaders(scope=message)
                for name, value in _SAFE_HEADERS.items():
                    headers.setdefault(name, value)
                headers.setdefault("Cache-Control", "no-store")
            await asyncio.wait_for(send(message), STALL_SECONDS)

        headers = Headers(scope=scope)
        refusal = self._refusal(scope, headers)
        try:
            await (self._app if refusal is None else refusal)(scope, receive, guarded)
        except (ClientDisconnect, ConnectionError, TimeoutError):
            if not started:
                await PlainTextResponse("too slow\n", HTTPStatus.REQUEST_TIMEOUT, {"Connection": "close"})(
                    scope, receive, guarded
                )
            else:
                raise  # the connection is closed on what is half sent
        except Exception:
            _log.exception("unexpected error")
            if started:
                raise
            status = HTTPStatus.INTERNAL_SERVER_ERROR
            await say(status, "something unexpected went wrong; the terminal shows what")(scope, receive, guarded)

    def _refusal(self, scope: Scope, headers: Headers) -> Response | None:
        host = headers.get("host", "")
        if self._listening.is_loopback and not self._is_ours(host):
            return say(HTTPStatus.MISDIRECTED_REQUEST, "this is not the host that you asked for")
        if scope["method"] not in ("GET", "HEAD") and headers.get("origin", f"http://{host}") != f"http://{host}":
            return say(HTTPStatus.FORBIDDEN, "another site sent this")
        if scope["path"] != "/" and headers.get("sec-fetch-site", "none") not in ("same-origin", "none"):
            return say(HTTPStatus.FORBIDDEN, "another site asked for this")
        return None

    def _is_ours(self, host: str) -> bool:
        try:
            named = urlsplit(f"//{host}")
            name = named.hostname or ""
            is_ours = is_loopback(name) or name == self._listening.host.lower()
            return is_ours and (named.port or 80) == self._listening.port
        except ValueError:
            return False


def say(status: HTTPStatus, line: str = "", headers: Mapping[str, str] | None = None) -> Response:
    """An answer of one line."""
    return PlainTextResponse(f"{line or status.phrase}\n", status, headers)


async def read_body(request: Request, most: int) -> bytes | None:
    """The body of a request; None if it has more than `most` bytes. Raises TimeoutError, ClientDisconnect."""
    declared = request.headers.get("content-length")
    if declared is not None and int(declared) > most:  # h11 has checked that it is a number
        return None
    parts, size = [], 0
    async with asyncio.timeout(REQUEST_SECONDS):
        async for part in request.stream():
            size += len(part)
            if size > most:
                return None
            parts.append(part)
    return b"".join(parts)


class _Protocol(H11Protocol):
    """uvicorn's HTTP, with a deadline for the head of a request: uvicorn waits for it for ever."""

    _deadline: asyncio.TimerHandle | None = None
    _is_ending = False

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        self._watch()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        self._watch()

    def connection_lost(self, exc: Exception | None) -> None:
        self._forget()
        super().connection_lost(exc)

    def _watch(self) -> None:
        if self.conn.their_state is h11.IDLE:
            if self._deadline is None:
                self._deadline = self.loop.call_later(REQUEST_SECONDS, self.transport.close)
            return
        self._forget()
        is_answered = self.cycle is not None and self.cycle.response_complete
        if is_answered and self.conn.their_state is h11.SEND_BODY and not self._is_ending:
            # It was refused, and goes on sending. To close at once might lose the reply on its way.
            self._is_ending = True
            self.loop.call_later(_LAST_SECONDS, self.transport.close)

    def _forget(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None
