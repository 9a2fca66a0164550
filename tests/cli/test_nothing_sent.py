"""Every request that commands make, recorded: downloads that were asked for, and nothing else."""

import json
import os
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
from toonify.styles.card import HubWeights
from toonify.styles.find import find_style

# In the place of Python's own: writes down whom a process calls, before it calls.
RECORDER = """
import os, socket
def recording(name):
    original = getattr(socket.socket, name)
    def record(self, *arguments):
        if self.family != socket.AF_UNIX:
            with open(os.environ["CALLS"], "a") as file:
                print(arguments[-1], file=file)
        return original(self, *arguments)
    setattr(socket.socket, name, record)
recording("connect")
recording("connect_ex")
recording("sendto")
look_up = socket.getaddrinfo
def looked_up(host, *rest, **others):
    if host not in ("127.0.0.1", "localhost", None):
        with open(os.environ["CALLS"], "a") as file:
            print("name", host, file=file)
    return look_up(host, *rest, **others)
socket.getaddrinfo = looked_up
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
        "HF_HOME": os.environ.get("HF_HOME", str(folder / "home")),  # of the test alone
        "PYTHONPATH": os.pathsep.join([str(folder), *filter(None, sys.path)]),
    }
    environment.pop("HF_HUB_DISABLE_TELEMETRY", None)
    subprocess.run([sys.executable, "-m", "toonify", *map(str, arguments)], env=environment, check=True, cwd=folder)
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


def test_measuring_calls_nobody(inception: Path, tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        for number in range(3):
            pixels = np.random.default_rng(number).integers(0, 256, (40, 40, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(tmp_path / name / f"{number}.png")
    with serve(tmp_path) as (address, handler):
        words = ["fid", tmp_path / "a", tmp_path / "b", "--weights", inception, "--metrics", "fid"]
        assert run_recorded(tmp_path, address, *words) == [] and handler.requests == []


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


def test_training_calls_nobody(training_data: Path, tmp_path: Path) -> None:
    with serve(tmp_path) as (address, handler):
        calls = run_recorded(tmp_path, address, "train", *flags(training_data, epochs=1))
        assert calls == [] and handler.requests == []
    assert json.loads(next((tmp_path / "runs").glob("*/*.json")).read_text())


def test_the_recorder_records(tmp_path: Path) -> None:
    code = """
import socket, urllib.request
for url in ("http://127.0.0.1:9/", "http://nowhere.invalid/"):
    try:
        urllib.request.urlopen(url)
    except OSError:
        pass
socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b"x", ("127.0.0.1", 9))
"""
    (tmp_path / "sitecustomize.py").write_text(RECORDER)
    environment = os.environ | {"CALLS": str(tmp_path / "calls"), "PYTHONPATH": str(tmp_path)}
    subprocess.run([sys.executable, "-c", code], env=environment, check=True)
    said = (tmp_path / "calls").read_text().splitlines()
    assert said == ["('127.0.0.1', 9)", "name nowhere.invalid", "('127.0.0.1', 9)"]
