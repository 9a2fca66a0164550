"""The page of a survey, and a collector of answers, on a machine of one's own.

Answers are only ever added: one file for each visitor's token, written whole or not at all, and never replaced.
"""

import errno
import ipaddress
import os
import socket
import threading
from collections.abc import Callable
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit

from toonify.errors import AnswersError, UsageError, describe, display
from toonify.study.answers import MAX_BYTES, parse_answers, read_answers
from toonify.study.page import PAGE_NAME, collecting_page, read_plan
from toonify.study.plan import Plan
from toonify.system.files import write_atomically

_REQUEST_SECONDS = 15  # in which a request must have come in, however slowly it drips
_STALL_SECONDS = 30  # in which a client must take the next part of an answer
_PART = 65_536  # bytes
_DISCARDED = 1 << 20  # bytes at most of a refused request


class Collector:
    """What the server knows: the page that it shows, the folder that answers go to, and how to tell its operator.

    Raises UsageError if there is no survey, or the folder cannot serve.
    """

    def __init__(self, survey: Path, answers: Path, tell: Callable[[str], None]) -> None:
        page = survey / PAGE_NAME if survey.is_dir() else survey
        if page.exists() and not page.is_file():  # to open a pipe would wait for ever
            raise UsageError(f"{display(page)} is not a regular file; build a survey with `toonify study build`")
        try:
            text = page.read_text(encoding="utf-8")
        except OSError as error:
            raise UsageError(f"{display(page)}: {error.strerror}; build it with `toonify study build`") from error
        except UnicodeDecodeError as error:
            raise UsageError(f"{display(page)} is no survey by `toonify study build`") from error
        self.plan: Plan = read_plan(text, page)
        self.page = collecting_page(text).encode()
        self.folder = answers
        self._tell = tell
        if answers.resolve().is_relative_to(page.parent.resolve()):
            raise UsageError(
                f"--answers {display(answers)} lies in the survey's folder, which is published; give another"
            )
        try:
            answers.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise UsageError(f"--answers {display(answers)}: {error.strerror}; give another folder") from error
        if not os.access(answers, os.W_OK):
            raise UsageError(f"--answers {display(answers)} cannot be written to; give another folder")

    def count(self) -> int:
        """How many answers there are."""
        return sum(1 for path in self.folder.glob("*.json") if len(path.stem) == 32)

    def store(self, data: bytes) -> tuple[HTTPStatus, str]:
        """Keep a visitor's answers, unless they are wrong or there already; the status and a line for the visitor."""
        try:
            answers = parse_answers(data, self.plan)
        except AnswersError as error:
            return HTTPStatus.BAD_REQUEST, str(error)
        path = self.folder / f"{answers.token}.json"  # 32 hex digits: no other place can be meant
        try:
            write_atomically(path, data)
        except FileExistsError:
            try:
                same = read_answers(path, self.plan) == answers
            except AnswersError:
                same = False
            if same:
                return HTTPStatus.OK, "these answers have arrived already"
            return HTTPStatus.CONFLICT, "other answers of this visitor have arrived already"
        except OSError as error:
            self._tell(f"error: answers could not be saved: {describe(error)}")
            return HTTPStatus.INTERNAL_SERVER_ERROR, f"that computer could not save them ({error.strerror})"
        self._tell(f"{self.count()} collected")
        return HTTPStatus.CREATED, "thank you"


class Server(ThreadingHTTPServer):
    """An HTTP server that shows one page and takes answers to it. Raises OSError if it cannot have the address."""

    daemon_threads = True
    request_queue_size = 128  # of a whole class that presses Send at once; the default of 5 drops some

    def __init__(self, collector: Collector, host: str, port: int) -> None:
        self.collector = collector
        self.host = host
        self.address_family = socket.AF_INET6 if ":" in host else socket.AF_INET
        super().__init__((host, port), _Handler)

    def server_bind(self) -> None:
        """Bind without asking a name server for the machine's name, as HTTPServer would."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.socket.bind(self.server_address)
        self.server_address = self.socket.getsockname()
        self.server_name, self.server_port = self.host, self.server_address[1]
        bound = ipaddress.ip_address(self.socket.getsockname()[0])  # the host may be a name, or 127.1
        self.is_loopback, self.is_everywhere = bound.is_loopback, bound.is_unspecified

    @property
    def address(self) -> str:
        """What to type into a browser; THIS-MACHINE stands for any name of this machine that others know."""
        host = "THIS-MACHINE" if self.is_everywhere else f"[{self.host}]" if ":" in self.host else self.host
        return f"http://{host}:{self.server_port}/"


def start_server(collector: Collector, host: str, port: int) -> Server:
    """A server that listens already; `serve_forever` answers. Raises UsageError if it cannot have the address."""
    if not host.strip():
        raise UsageError("--host is empty; give an address of this machine, or 0.0.0.0 for all")
    try:
        host.encode("idna")  # the socket would do it, and raise a TypeError
    except UnicodeError as error:
        name = host.encode(errors="replace")
        raise UsageError(f"--host {display(name)} is no address or name of a machine") from error
    try:
        return Server(collector, host, port)
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise UsageError(f"--port {port} is taken by another program; give another") from error
        if error.errno in (errno.EACCES, errno.EPERM):
            raise UsageError(f"--port {port} may not be used; give one over 1023") from error
        raise UsageError(f"--host {display(host)} is no address of this machine: {error.strerror}") from error


def is_loopback(host: str) -> bool:
    """Whether an address that a browser asked for is one of this machine alone."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


class _Handler(BaseHTTPRequestHandler):
    """One request: the page, or answers to it."""

    server: Server
    timeout = _STALL_SECONDS

    def setup(self) -> None:
        super().setup()
        # A client that drips a byte at a time would never meet a socket's timeout.
        self._deadline = threading.Timer(_REQUEST_SECONDS, self._cut)
        self._deadline.daemon = True
        self._deadline.start()

    def finish(self) -> None:
        self._deadline.cancel()
        super().finish()

    def _cut(self) -> None:
        try:
            self.connection.shutdown(socket.SHUT_RDWR)
        except OSError:
            return  # it is gone already

    def do_GET(self) -> None:
        self._show()

    def do_HEAD(self) -> None:
        self._show()

    def do_POST(self) -> None:
        refusal = self._refusal()
        if refusal is not None:
            self._say(*refusal)
            self._discard()
            return
        length = int(self.headers["Content-Length"])
        data = self.rfile.read(length)
        if len(data) < length:
            self._say(HTTPStatus.BAD_REQUEST, "the answers were cut off")
            return
        self._say(*self.server.collector.store(data))

    def _refusal(self) -> tuple[HTTPStatus, str] | None:
        """Why a request to store answers is refused before its body is read; None if it is not."""
        if not self._is_for_us():
            return HTTPStatus.MISDIRECTED_REQUEST, "this is not the host that you asked for"
        if self.path != "/answers":
            return HTTPStatus.METHOD_NOT_ALLOWED if self.path == "/" else HTTPStatus.NOT_FOUND, ""
        if self.headers.get("Origin", f"http://{self.headers['Host']}") != f"http://{self.headers['Host']}":
            return HTTPStatus.FORBIDDEN, "another site sent this"
        if self.headers.get_content_type() != "application/json":
            return HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "answers are application/json"
        length = self.headers.get("Content-Length", "")
        if not (length.isascii() and length.isdecimal()):
            return HTTPStatus.LENGTH_REQUIRED, ""
        if len(length) > 9 or int(length) > MAX_BYTES:
            return HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"over {MAX_BYTES} bytes, which no answers are"
        return None

    def _discard(self) -> None:
        """Take in what is left of a refused request, up to a limit: to close on it might lose the reply on its way."""
        self.connection.settimeout(1)
        left = _DISCARDED
        while left > 0 and (part := self.rfile.read1(min(left, _PART))):
            left -= len(part)

    def _refuse_method(self) -> None:
        self._say(HTTPStatus.METHOD_NOT_ALLOWED)
        self._discard()

    do_PUT = do_DELETE = do_PATCH = do_OPTIONS = _refuse_method  # noqa: N815 - http.server looks for these names

    def _show(self) -> None:
        if not self._is_for_us():
            self._say(HTTPStatus.MISDIRECTED_REQUEST, "this is not the host that you asked for")
            return
        if self.path != "/":
            self._say(HTTPStatus.METHOD_NOT_ALLOWED if self.path == "/answers" else HTTPStatus.NOT_FOUND)
            return
        self._deadline.cancel()  # the request is in; a large page may take its time
        self._send(HTTPStatus.OK, "text/html; charset=utf-8", self.server.collector.page)

    def _is_for_us(self) -> bool:
        """Whether this machine was asked for, and not a web site that took on its address (DNS rebinding)."""
        if not self.server.is_loopback:
            return True
        host = self.headers.get("Host", "")
        try:
            named = urlsplit(f"//{host}")
            name = named.hostname or ""
            is_ours = is_loopback(name) or name == self.server.host.lower()
            return is_ours and (named.port or 80) == self.server.server_port
        except ValueError:
            return False

    def _say(self, status: HTTPStatus, line: str = "") -> None:
        self._send(status, "text/plain; charset=utf-8", f"{line or status.phrase}\n".encode())

    def _send(self, status: HTTPStatus, content_type: str, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Cache-Control", "no-store")
        self.send_header("X-Content-Type-Options", "nosniff")
        self.send_header("X-Frame-Options", "DENY")
        self.send_header("Referrer-Policy", "no-referrer")
        if status == HTTPStatus.METHOD_NOT_ALLOWED:
            self.send_header("Allow", "POST" if self.path == "/answers" else "GET, HEAD")
        self.end_headers()
        if self.command != "HEAD":
            for start in range(0, len(body), _PART):  # or the timeout would be that of the whole
                self.wfile.write(body[start : start + _PART])

    def version_string(self) -> str:
        """What the Server header says: no versions for the curious."""
        return "toonify"

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Log nothing: who answered is nobody's business."""

    def handle(self) -> None:
        try:
            super().handle()
        except (ConnectionError, TimeoutError):
            return  # the client has gone or sleeps; nothing of it was kept
