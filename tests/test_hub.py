"""Downloads through the real client (huggingface_hub), from a small hub on loopback."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from hub_server import HubHandler, serve

from toonify import hub
from toonify.errors import DownloadError, WeightsError
from toonify.generators import is_cached, load_module
from toonify.styles import Card, HubWeights, LocatedStyle, find_style

WEIGHTS = HubWeights("tests/tiny", "tiny.pth", fingerprint="", megabytes=0.1, revision="a" * 40)


@pytest.fixture
def server(tmp_path: Path, tiny_run: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[type[HubHandler]]:
    repository = tmp_path / "tests" / "tiny"
    repository.mkdir(parents=True)
    (repository / "tiny.pth").write_bytes((tiny_run / "tiny.pth").read_bytes())
    with serve(tmp_path) as (address, handler):
        monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
        monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", address)
        monkeypatch.setattr(
            "huggingface_hub.constants.HUGGINGFACE_CO_URL_TEMPLATE",
            address + "/{repo_id}/resolve/{revision}/{filename}",
        )
        monkeypatch.setattr("huggingface_hub.constants.HF_HUB_DOWNLOAD_TIMEOUT", 2)
        yield handler


@pytest.fixture
def style(tiny_run: Path) -> LocatedStyle:
    """The tiny style as if it were on the hub."""
    import msgspec

    from toonify.checkpoint import fingerprint, read_tensors

    located = find_style(str(tiny_run))
    pinned = msgspec.structs.replace(WEIGHTS, fingerprint=fingerprint(read_tensors(tiny_run / "tiny.pth")))
    variant = msgspec.structs.replace(located.card.variants["original"], weights=pinned)
    card: Card = msgspec.structs.replace(located.card, variants={"original": variant})
    return LocatedStyle(card, tiny_run)


def test_a_file_is_fetched_once(server: type[HubHandler]) -> None:
    assert hub.cached(WEIGHTS) is None
    path = hub.fetch(WEIGHTS, quiet=True)
    assert hub.cached(WEIGHTS) == path
    count = len(server.requests)
    assert hub.fetch(WEIGHTS, quiet=True) == path
    assert len(server.requests) == count


def test_a_style_on_the_hub_is_loaded_and_verified(server: type[HubHandler], style: LocatedStyle) -> None:
    assert not is_cached(style, "original")
    assert sum(p.numel() for p in load_module(style, "original", quiet=True).parameters()) > 0
    assert is_cached(style, "original")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"repository": "tests/gone"}, "there is no tests/gone on"),
        ({"file": "gone.pth"}, r"tests/tiny/gone\.pth is not on"),
    ],
)
def test_a_404_is_one_line(server: type[HubHandler], change: dict, message: str) -> None:
    import msgspec

    with pytest.raises(DownloadError, match=message) as caught:
        hub.fetch(msgspec.structs.replace(WEIGHTS, **change), quiet=True)
    assert "\n" not in str(caught.value)


def test_without_a_network_the_line_says_what_to_do(server: type[HubHandler], monkeypatch: pytest.MonkeyPatch) -> None:
    closed = "http://127.0.0.1:9"
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", closed)
    monkeypatch.setattr(
        "huggingface_hub.constants.HUGGINGFACE_CO_URL_TEMPLATE", closed + "/{repo_id}/resolve/{revision}/{filename}"
    )
    with pytest.raises(DownloadError, match="toonify styles pull") as caught:
        hub.fetch(WEIGHTS, quiet=True)
    assert "\n" not in str(caught.value)


def test_offline_mode_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(DownloadError, match="HF_HUB_OFFLINE is set"):
        hub.fetch(WEIGHTS, quiet=True)


def test_a_truncated_file_leaves_the_cache_clean(server: type[HubHandler], style: LocatedStyle) -> None:
    server.truncate = True
    with pytest.raises(WeightsError, match="try again"):
        load_module(style, "original", quiet=True)
    assert not is_cached(style, "original")
    server.truncate = False
    load_module(style, "original", quiet=True)


def test_a_swapped_file_leaves_the_cache_clean(server: type[HubHandler], style: LocatedStyle, tiny_run: Path) -> None:
    import torch

    state = torch.load(tiny_run / "tiny.pth", weights_only=True)
    good = (server.folder / "tests" / "tiny" / "tiny.pth").read_bytes()
    torch.save({key: value + 1 for key, value in state.items()}, server.folder / "tests" / "tiny" / "tiny.pth")
    with pytest.raises(WeightsError, match="other weights than the card says"):
        load_module(style, "original", quiet=True)
    (server.folder / "tests" / "tiny" / "tiny.pth").write_bytes(good)
    load_module(style, "original", quiet=True)


def test_an_interrupted_download_goes_on_where_it_stopped(server: type[HubHandler]) -> None:
    server.break_off = True
    with pytest.raises(DownloadError):
        hub.fetch(WEIGHTS, quiet=True)
    server.break_off = False
    path = hub.fetch(WEIGHTS, quiet=True)
    assert path.read_bytes() == (server.folder / "tests" / "tiny" / "tiny.pth").read_bytes()
