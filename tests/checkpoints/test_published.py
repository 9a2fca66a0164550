"""Published weights: downloaded once with their digest checked, found again, named where they cannot be had."""

import hashlib
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from toonify.checkpoints.published import Published, fetch
from toonify.errors import DownloadError, WeightsError

CONTENT = b"weights" * 1000


@pytest.fixture
def server() -> Iterator[tuple[str, list[str]]]:
    """A server with one file, and the requests that came."""
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_HEAD(self) -> None:
            self.send_response(200)
            self.end_headers()

        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_response(200 if self.path == "/net.pth" else 404)
            self.send_header("Content-Length", str(len(CONTENT)))
            self.end_headers()
            self.wfile.write(CONTENT)

        def log_message(self, *_: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as http:
        threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        yield f"http://127.0.0.1:{http.server_port}", asked
        http.shutdown()


@pytest.fixture(autouse=True)
def _connected(monkeypatch: pytest.MonkeyPatch) -> None:
    """Undo what keeps the other tests from the network; here it is only this machine."""
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)


def published(url: str, content: bytes = CONTENT) -> Published:
    return Published("a network", url, hashlib.sha256(content).hexdigest(), 0.007, ("alias.pth",))


def test_it_is_downloaded_once(server: tuple[str, list[str]]) -> None:
    url, asked = server
    weights = published(f"{url}/net.pth")
    assert fetch(weights, flag="--weights").read_bytes() == CONTENT
    assert fetch(weights, flag="--weights") == weights.path
    assert asked == ["/net.pth"]


def test_what_another_tool_has_fetched_is_used(server: tuple[str, list[str]]) -> None:
    url, asked = server
    weights = published(f"{url}/net.pth")
    alias = weights.path.with_name("alias.pth")
    alias.parent.mkdir(parents=True)
    alias.write_bytes(CONTENT)
    assert fetch(weights, flag="--weights") == alias
    assert asked == []


def test_another_file_than_the_published_one_is_refused_and_not_kept(server: tuple[str, list[str]]) -> None:
    weights = published(f"{server[0]}/net.pth", content=b"other")
    with pytest.raises(DownloadError, match="did not arrive whole"):
        fetch(weights, flag="--weights")
    assert list(weights.path.parent.iterdir()) == []


def test_a_missing_file_is_named(server: tuple[str, list[str]]) -> None:
    with pytest.raises(DownloadError, match=r"404.*download http"):
        fetch(published(f"{server[0]}/gone.pth"), flag="--weights")


def test_a_damaged_file_on_disk_is_refused() -> None:
    weights = published("http://127.0.0.1:9/net.pth")
    weights.path.parent.mkdir(parents=True)
    weights.path.write_bytes(b"damaged")
    with pytest.raises(WeightsError, match="not the published a network"):
        fetch(weights, flag="--weights")


def test_offline_means_offline(server: tuple[str, list[str]], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(DownloadError, match="HF_HUB_OFFLINE"):
        fetch(published(f"{server[0]}/net.pth"), flag="--weights")
    assert server[1] == []


def test_without_a_network_one_line_says_where_to_put_it() -> None:
    weights = published("http://127.0.0.1:9/net.pth")
    with pytest.raises(DownloadError) as caught:
        fetch(weights, flag="--weights")
    message = str(caught.value)
    assert weights.url in message and str(weights.path) in message and "--weights FILE" in message
    assert "\n" not in message


def test_it_lies_where_pytorch_keeps_its_downloads(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    import torch

    weights = published("http://127.0.0.1:9/net.pth")
    assert weights.path.parent == Path(torch.hub.get_dir(), "checkpoints")
    monkeypatch.delenv("TORCH_HOME")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert weights.path.parent == Path(torch.hub.get_dir(), "checkpoints")
