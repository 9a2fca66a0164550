"""A small stand-in for the Hugging Face hub: serves a folder laid out as owner/repository/file over loopback.

    python tests/support/hub_server.py FOLDER [PORT]

The real client (huggingface_hub) talks to it: set HF_ENDPOINT to the address that it prints.
"""

import hashlib
import re
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

COMMIT = "0" * 39 + "1"  # what the branch `main` stands for


class HubHandler(BaseHTTPRequestHandler):
    """Answers /owner/repository/resolve/revision/file with the headers that the client needs, ranges included."""

    protocol_version = "HTTP/1.1"
    folder: Path
    truncate = False  # send the first half of a file as if it were the whole
    wait: str | None = None  # answer that it is busy, and for how many seconds
    break_off = False  # close the connection in the middle of a file
    requests: list[str]
    agents: set[str]  # what clients say that they are

    def do_HEAD(self) -> None:
        self._answer(body=False)

    def do_GET(self) -> None:
        self._answer(body=True)

    def _answer(self, *, body: bool) -> None:
        self.requests.append(f"{self.command} {self.path}")
        self.agents.add(self.headers.get("User-Agent", ""))
        if self.wait is not None and "/resolve/" in self.path:
            self.send_response(429)
            self.send_header("Retry-After", self.wait)
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        match = re.fullmatch(r"/([^/]+/[^/]+)/resolve/([^/]+)/(.+)", self.path.partition("?")[0])
        repository = match and self.folder / match[1]
        if not match or not repository.is_dir():
            self._refuse("RepoNotFound")
            return
        path = repository / match[3]
        if not path.is_file():
            self._refuse("EntryNotFound")
            return
        data = path.read_bytes()
        if self.truncate:
            data = data[: len(data) // 2]
        etag = hashlib.sha256(data).hexdigest()
        start = 0
        if found := re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", "")):
            start = int(found[1])
        self.send_response(206 if start else 200)
        self.send_header("X-Repo-Commit", COMMIT if match[2] == "main" else match[2])
        self.send_header("ETag", f'"{etag}"')
        self.send_header("Accept-Ranges", "bytes")
        self.send_header("Content-Length", str(len(data) - start))
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(data) - 1}/{len(data)}")
        self.end_headers()
        if body and self.break_off:
            self.wfile.write(data[start : (start + len(data)) // 2])
            self.close_connection = True
        elif body:
            self.wfile.write(data[start:])

    def _refuse(self, code: str) -> None:
        self.send_response(404)
        self.send_header("X-Error-Code", code)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *args: Any) -> None:
        pass


@contextmanager
def serve(folder: Path, port: int = 0) -> Iterator[tuple[str, type[HubHandler]]]:
    """Serve `folder` while the context lasts: its address, and the handler, whose class attributes are the switches."""
    handler = type("Handler", (HubHandler,), {"folder": folder, "requests": [], "agents": set()})
    server = ThreadingHTTPServer(("127.0.0.1", port), handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}", handler
    finally:
        server.shutdown()
        server.server_close()


if __name__ == "__main__":
    with serve(Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 0) as (address, _):
        print(address, flush=True)
        threading.Event().wait()
