"""Every request that commands make, recorded: downloads that were asked for, and nothing else."""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from hub_server import HubHandler, serve
from PIL import Image
from training import flags

from toonify.checkpoints.tensors import fingerprint, read_tensors
from toonify.cli import main
from toonify.styles.card import HubWeights
from toonify.styles.find import find_style

# In the place of Python's own: writes down whom a process calls, before it calls.
RECORDER = """
import os, socket
def recording(name):
    original = getattr(socket.socket, name)
    def record(self, address):
        if self.family != socket.AF_UNIX:
            with open(os.environ["CALLS"], "a") as file:
                print(address, file=file)
        return original(self, address)
    setattr(socket.socket, name, record)
recording("connect")
recording("connect_ex")
"""
AGENTS = {"CLAUDECODE": "1", "AI_AGENT": "an-agent", "CURSOR_AGENT": "1", "CODEX_SANDBOX": "1", "GEMINI_CLI": "1"}


def run_recorded(folder: Path, address: str, *arguments: Any) -> list[str]:
    """Run a command of ours as a user does, against a hub on loopback; all addresses that it has called."""
    (folder / "sitecustomize.py").write_text(RECORDER)
    calls = folder / "calls"
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("HF_", "DO_NOT_"))}
    environment |= {
        **AGENTS,
        "CALLS": str(calls),
        "HF_ENDPOINT": address,
        "HF_HOME": str(folder / "home"),
        "PYTHONPATH": os.pathsep.join([str(folder), *filter(None, sys.path)]),
    }
    environment.pop("HF_HUB_DISABLE_TELEMETRY", None)
    subprocess.run([sys.executable, "-m", "toonify", *map(str, arguments)], env=environment, check=True)
    return calls.read_text().splitlines() if calls.exists() else []


@pytest.fixture
def card_on_the_hub(tmp_path: Path, tiny_run: Path) -> Path:
    """A card whose weights are on a hub."""
    repository = tmp_path / "hub" / "tests" / "tiny"
    repository.mkdir(parents=True)
    (repository / "tiny.pth").write_bytes((tiny_run / "tiny.pth").read_bytes())
    card = find_style(str(tiny_run)).card
    pinned = fingerprint(read_tensors(tiny_run / "tiny.pth"))
    weights = HubWeights("tests/tiny", "tiny.pth", fingerprint=pinned, megabytes=0.1, revision="a" * 40)
    variant = msgspec.structs.replace(card.variants["original"], weights=weights)
    path = tmp_path / "tiny.json"
    path.write_bytes(msgspec.json.encode(msgspec.structs.replace(card, variants={"original": variant})))
    return path


def only_downloads(handler: type[HubHandler]) -> None:
    wanted = "/tests/tiny/resolve/" + "a" * 40 + "/tiny.pth"
    for request in handler.requests:
        method, _, path = request.partition(" ")
        assert (method in ("HEAD", "GET") and path == wanted) or request == "HEAD /", request
    for agent in handler.agents:
        assert "torch" not in agent and "agent/" not in agent, agent


def test_pull_and_convert_ask_for_the_weights_and_tell_nothing(card_on_the_hub: Path, tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (48, 64, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "photo.png")
    with serve(tmp_path / "hub") as (address, handler):
        port = address.rpartition(":")[2]
        calls = run_recorded(tmp_path, address, "styles", "pull", card_on_the_hub)
        assert handler.requests
        only_downloads(handler)
        assert calls and all(call == f"('127.0.0.1', {port})" for call in calls)
        before = len(handler.requests)
        run_recorded(tmp_path, address, "convert", tmp_path / "photo.png", "--style", card_on_the_hub)
        assert len(handler.requests) == before  # all of it is in the cache


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """Whom this process calls."""
    called: list[object] = []
    connect = socket.socket.connect

    def record(self: socket.socket, address: object) -> None:
        if self.family != socket.AF_UNIX:
            called.append(address)
        connect(self, address)

    monkeypatch.setattr(socket.socket, "connect", record)
    return called


def test_measuring_calls_nobody(inception: Path, calls: list[object], tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        for number in range(3):
            pixels = np.random.default_rng(number).integers(0, 256, (40, 40, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(tmp_path / name / f"{number}.png")
    assert main(["fid", str(tmp_path / "a"), str(tmp_path / "b"), "--weights", str(inception), "--metrics", "fid"]) == 0
    assert calls == []


def test_evaluate_asks_for_the_weights_and_tells_nothing(
    card_on_the_hub: Path, inception: Path, tmp_path: Path
) -> None:
    for name in ("photos", "anime"):
        (tmp_path / name).mkdir()
        for number in range(4):
            pixels = np.random.default_rng(number).integers(0, 256, (48, 64, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(tmp_path / name / f"{number}.png")
    words = ["--photos", tmp_path / "photos", "--cartoons", tmp_path / "anime", "--weights", inception]
    with serve(tmp_path / "hub") as (address, handler):
        port = address.rpartition(":")[2]
        calls = run_recorded(tmp_path, address, "evaluate", card_on_the_hub, *words, "--output", tmp_path / "out")
        assert handler.requests and calls and all(call == f"('127.0.0.1', {port})" for call in calls)
        only_downloads(handler)


def test_training_calls_nobody(training_data: Path, calls: list[object], tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["train", *flags(training_data, epochs=1)]) == 0
    assert calls == []
    assert json.loads(next(Path("runs").glob("*/*.json")).read_text())
