"""Downloads through the real client (huggingface_hub), from a small hub on loopback."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hub_server import HubHandler, serve
from PIL import Image

from toonify.checkpoints import hub
from toonify.cli import main
from toonify.drawing import choose_plan, load_plan
from toonify.errors import DownloadError, StyleError, UsageError, WeightsError
from toonify.evaluate.candidates import find_candidates
from toonify.networks.cache import is_cached
from toonify.networks.load import load_module
from toonify.styles.card import Card, FileWeights, HubWeights, LocatedStyle, StyleVariant
from toonify.styles.find import find_style, parse_card

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

    from toonify.checkpoints.tensors import fingerprint, read_tensors

    located = find_style(str(tiny_run))
    pinned = msgspec.structs.replace(WEIGHTS, fingerprint=fingerprint(read_tensors(tiny_run / "tiny.pth")))
    variant = msgspec.structs.replace(located.card.variants["original"], weights=pinned)
    card: Card = msgspec.structs.replace(located.card, variants={"original": variant})
    return LocatedStyle(card, tiny_run)


def test_a_file_is_fetched_once(server: type[HubHandler]) -> None:
    assert hub.cached(WEIGHTS) is None
    path = hub.fetch(WEIGHTS)
    assert hub.cached(WEIGHTS) == path
    count = len(server.requests)
    assert hub.fetch(WEIGHTS) == path
    assert len(server.requests) == count


def test_a_style_on_the_hub_is_loaded_and_verified(server: type[HubHandler], style: LocatedStyle) -> None:
    assert not is_cached(style.variant("original"))
    assert sum(p.numel() for p in load_module(style.variant("original")).parameters()) > 0
    assert is_cached(style.variant("original"))


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
        hub.fetch(msgspec.structs.replace(WEIGHTS, **change))
    assert "\n" not in str(caught.value)


def test_without_a_network_the_line_says_what_to_do(server: type[HubHandler], monkeypatch: pytest.MonkeyPatch) -> None:
    closed = "http://127.0.0.1:9"
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", closed)
    monkeypatch.setattr(
        "huggingface_hub.constants.HUGGINGFACE_CO_URL_TEMPLATE", closed + "/{repo_id}/resolve/{revision}/{filename}"
    )
    with pytest.raises(DownloadError, match="connect once") as caught:
        hub.fetch(WEIGHTS)
    assert "\n" not in str(caught.value)


def test_a_server_that_wants_an_hour_of_waiting_is_named(
    server: type[HubHandler], monkeypatch: pytest.MonkeyPatch
) -> None:
    waits: list[float] = []
    monkeypatch.setattr("huggingface_hub.utils._http.time.sleep", waits.append)
    server.wait = "3600"
    with pytest.raises(DownloadError, match=r"is busy and wants tests/tiny/tiny\.pth to be asked for in 3600 s"):
        hub.fetch(WEIGHTS)
    server.wait = "50"
    with pytest.raises(DownloadError, match="is busy"):
        hub.fetch(WEIGHTS)
    assert sum(waits) <= 120
    server.wait = None
    assert hub.fetch(WEIGHTS).is_file()


def test_offline_mode_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(DownloadError, match="HF_HUB_OFFLINE is set"):
        hub.fetch(WEIGHTS)


def test_a_truncated_file_leaves_the_cache_clean(server: type[HubHandler], style: LocatedStyle) -> None:
    server.truncate = True
    with pytest.raises(WeightsError, match="try again"):
        load_module(style.variant("original"))
    assert not is_cached(style.variant("original"))
    server.truncate = False
    load_module(style.variant("original"))


def test_a_swapped_file_leaves_the_cache_clean(server: type[HubHandler], style: LocatedStyle, tiny_run: Path) -> None:
    import torch

    state = torch.load(tiny_run / "tiny.pth", weights_only=True)
    good = (server.folder / "tests" / "tiny" / "tiny.pth").read_bytes()
    torch.save({key: value + 1 for key, value in state.items()}, server.folder / "tests" / "tiny" / "tiny.pth")
    with pytest.raises(WeightsError, match="other weights than the style"):
        load_module(style.variant("original"))
    (server.folder / "tests" / "tiny" / "tiny.pth").write_bytes(good)
    load_module(style.variant("original"))


def test_an_interrupted_download_goes_on_where_it_stopped(
    server: type[HubHandler], monkeypatch: pytest.MonkeyPatch
) -> None:
    server.break_off = True
    with monkeypatch.context() as patch, pytest.raises(DownloadError):
        patch.setattr("huggingface_hub.file_download.time.sleep", lambda seconds: None)  # before it tries again
        hub.fetch(WEIGHTS)
    server.break_off = False
    path = hub.fetch(WEIGHTS)
    assert path.read_bytes() == (server.folder / "tests" / "tiny" / "tiny.pth").read_bytes()


# Which variant `auto` is


@pytest.fixture
def both(style: LocatedStyle, tiny_onnx: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The path of a card with two variants: "original" on the hub, "lite" beside the card."""
    import msgspec

    def converting(style: StyleVariant, device: str, path: Path) -> None:
        load_module(style)
        path.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(tiny_onnx, path)  # the same network, converted once for all tests

    monkeypatch.setattr("toonify.networks.ready._convert", converting)

    original = style.card.variants["original"]
    lite = msgspec.structs.replace(original, weights=FileWeights("lite.onnx"))
    card = msgspec.structs.replace(style.card, variants={"original": original, "lite": lite})
    folder = tmp_path / "both"
    folder.mkdir()
    (folder / "lite.onnx").write_bytes(tiny_onnx.read_bytes())
    (folder / "both.json").write_bytes(msgspec.json.encode(card))
    return str(folder)


def preferring_lite(both: str) -> str:
    import msgspec

    path = Path(both, "both.json")
    card = parse_card(path.read_bytes(), "it")
    variants = {name: card.variants[name] for name in ("lite", "original")}
    path.write_bytes(msgspec.json.encode(msgspec.structs.replace(card, variants=variants)))
    return both


def drawn_with(name: str, caplog: pytest.LogCaptureFixture, **options: Any) -> tuple[str, str]:
    """The variant that draws, and what was warned of."""
    caplog.clear()
    plan = load_plan(choose_plan(name, **options), device="cpu").plan
    return plan.style.name, "\n".join(caplog.messages)


def unreachable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", "http://127.0.0.1:9")


def test_the_preferred_variant_is_fetched_and_then_needs_no_hub(
    server: type[HubHandler], both: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    assert drawn_with(both, caplog) == ("original", "")
    unreachable(monkeypatch)
    asked = len(server.requests)
    assert drawn_with(both, caplog) == ("original", "")
    assert len(server.requests) == asked


def test_without_a_hub_the_variant_that_is_here_draws(
    server: type[HubHandler], both: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    unreachable(monkeypatch)
    assert drawn_with(both, caplog)[0] == "lite"
    with pytest.raises(DownloadError):
        drawn_with(both, caplog, variant="original")
    Path(both, "lite.onnx").unlink()
    with pytest.raises(DownloadError):
        drawn_with(both, caplog)


def test_offline_mode_asks_nobody(
    server: type[HubHandler], both: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    assert drawn_with(both, caplog)[0] == "lite"
    assert not server.requests


def test_a_download_that_fails_leaves_the_variant_that_is_here_and_says_so(
    server: type[HubHandler], both: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "tests" / "tiny" / "tiny.pth").unlink()
    variant, said = drawn_with(both, caplog)
    assert variant == "lite"
    assert said.startswith("tiny (original) is not used: tests/tiny/tiny.pth is not on")
    with pytest.raises(DownloadError):
        drawn_with(both, caplog, variant="original")


def test_a_preferred_variant_that_is_here_asks_nobody(
    server: type[HubHandler], both: str, caplog: pytest.LogCaptureFixture
) -> None:
    assert drawn_with(preferring_lite(both), caplog) == ("lite", "")
    assert not server.requests
    assert drawn_with(both, caplog, variant="original")[0] == "original"


def test_a_file_that_is_missing_beside_its_card_is_named_hub_or_no_hub(
    server: type[HubHandler], both: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    drawn_with(both, caplog)  # fetches the original
    Path(preferring_lite(both), "lite.onnx").unlink()
    for _ in range(2):
        with pytest.raises(StyleError, match=r"lite\.onnx is missing"):
            drawn_with(both, caplog)
        unreachable(monkeypatch)


def test_a_comparison_is_of_one_variant_whatever_can_be_fetched(
    server: type[HubHandler], both: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    unreachable(monkeypatch)
    preferred, lite = find_candidates([both, f"{both}:lite"])
    assert preferred.plan is not None and lite.plan is not None
    assert (preferred.name, preferred.plan.style.name, preferred.plan.instead) == ("tiny", "original", None)
    assert (lite.name, lite.plan.style.name) == ("tiny-lite", "lite")
    with pytest.raises(UsageError, match="no variant 'huge'"):
        find_candidates([f"{both}:huge"])


def test_convert_tells_which_variant_drew(
    server: type[HubHandler], both: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its report, too, where the preferred one could not be fetched after all."""
    (tmp_path / "tests" / "tiny" / "tiny.pth").unlink()
    photo, report = tmp_path / "photo.png", tmp_path / "report.json"
    Image.new("RGB", (32, 24), "teal").save(photo)
    assert main(["convert", str(photo), "--style", both, "--report", str(report), "--device", "cpu"]) == 0
    assert "\ntiny (lite), look soft, " in capsys.readouterr().err
    assert json.loads(report.read_text())["variant"] == "lite"


def test_convert_says_that_there_was_no_hub(
    server: type[HubHandler],
    both: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    unreachable(monkeypatch)
    photo = tmp_path / "photo.png"
    Image.new("RGB", (32, 24), "teal").save(photo)
    assert main(["convert", str(photo), "--style", both, "--device", "cpu"]) == 0
    said = capsys.readouterr().err
    assert said.startswith("tiny (original) is not here and cannot be fetched now, so tiny (lite) draws\n")


@pytest.mark.parametrize(("repository", "file"), [("a/b/c", "x.pth"), ("a--b/c", "x.pth"), ("a/b..c", "x.pth")])
def test_what_can_be_on_no_hub_is_the_cards_fault(repository: str, file: str) -> None:
    weights = HubWeights(repository, file, "float32:", 1.0)
    for ask in (hub.cached, hub.fetch):
        with pytest.raises(StyleError, match="correct it in"):
            ask(weights)
