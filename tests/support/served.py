"""A server of the page in this process, and a small client that keeps cookies as a browser does."""

import contextlib
import http.client
import json
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

from toonify.pages.server import Listening, Server, listen
from toonify.serve.app import Application
from toonify.serve.folder import ServedFolder
from toonify.serve.studio import Studio


@dataclass
class Served:
    """A server that runs."""

    application: Application
    listening: Listening
    studio: Studio

    @property
    def address(self) -> str:
        return self.application.address

    @property
    def root(self) -> Path:
        return self.application._visitors.root


@contextlib.contextmanager
def serving(folder: Path | None = None, host: str = "127.0.0.1", studio: Studio | None = None) -> Iterator[Served]:
    """The page, served until the end of the context."""
    listening = listen(host, 0)
    studio = studio or Studio()
    served = None if folder is None else ServedFolder(folder)
    with Application(studio, listening, served) as application, Server(application.asgi, listening) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield Served(application, listening, studio)
        finally:
            server.shutdown()
            thread.join()


@dataclass
class Answer:
    status: int
    body: bytes
    headers: Any

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class Client:
    """Asks as a page does."""

    port: int
    cookie: str = ""
    headers: dict[str, str] = field(default_factory=dict)

    def ask(self, method: str, path: str, body: bytes | None = None, **headers: str) -> Answer:
        named = {**self.headers, **{name.replace("_", "-"): value for name, value in headers.items()}}
        if self.cookie:
            named.setdefault("Cookie", self.cookie)
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            connection.request(method, path, body, named)
            reply = connection.getresponse()
            if given := reply.getheader("Set-Cookie"):
                self.cookie = given.partition(";")[0]
            return Answer(reply.status, reply.read(), reply.headers)
        finally:
            connection.close()

    def open(self, token: str | None = None) -> Answer:
        """Load the page, with the token of the address or without."""
        return self.ask("GET", "/" if token is None else f"/?token={token}")

    def get(self, path: str, **query: Any) -> Answer:
        return self.ask("GET", f"{path}?{urlencode(query)}" if query else path)

    def post(self, path: str, value: Any = None, **headers: str) -> Answer:
        return self.ask("POST", path, json.dumps(value).encode(), Content_Type="application/json", **headers)

    def drop(self, path: Path, name: str | None = None) -> dict[str, Any]:
        """Upload a photo, and return what the page is told of it."""
        answer = self.ask("POST", f"/api/photos?name={quote(name or path.name)}", path.read_bytes())
        assert answer.status == 201, answer.body
        return dict(answer.json)

    def take(self, photos: list[str], style: str, **more: Any) -> list[dict[str, Any]]:
        """Let pictures be drawn at their full size, and wait for them."""
        answer = self.post("/api/takes", {"photos": photos, "style": style, **more})
        assert answer.status == 202, answer.body
        return self.wait([take["id"] for take in answer.json["takes"]])

    def wait(self, ids: list[str]) -> list[dict[str, Any]]:
        """Wait until takes have come to an end, and return what became of them."""
        limit = time.monotonic() + 120
        with self.events() as events:
            known: dict[str, dict[str, Any]] = {}
            for event in events:
                known |= {take["id"]: take for take in event["takes"]}
                if all(known[each]["state"] not in ("waiting", "drawing") for each in ids):
                    return [known[each] for each in ids]
                assert time.monotonic() < limit
        raise AssertionError("the server has ended")

    @contextlib.contextmanager
    def events(self) -> Iterator[Iterator[dict[str, Any]]]:
        """What the page is told while it is open."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        connection.request("GET", "/api/events", headers={"Cookie": self.cookie})
        reply = connection.getresponse()

        def lines() -> Iterator[dict[str, Any]]:
            while line := reply.readline():
                if line.startswith(b"data: "):
                    yield json.loads(line[6:])

        try:
            yield lines()
        finally:
            connection.close()
            reply.close()
