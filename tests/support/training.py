"""What the tests of `train` share: tiny data, tiny networks, the command line, and what a run has left."""

import os
import signal
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from videos import scene

from toonify.cli import main
from toonify.methods.method import Method
from toonify.train.record import Entry, Losses, Note, read

PHOTOS, CARTOONS = 7, 5
SIZE = 32


def make_data(folder: Path) -> Path:
    """Photos, cartoons, pairs of both, and small files of weights for the content loss and AdaIN's encoder."""
    from torchvision.models import vgg19

    from toonify.models.adain import encoder

    for name, count, first in (("photos", PHOTOS, 0), ("cartoons", CARTOONS, 100), ("pairs", PHOTOS, 200)):
        (folder / name).mkdir()
        for number in range(count):
            Image.fromarray(scene(first + number, 48, 64)).save(folder / name / f"{number}.png")
    with torch.random.fork_rng():
        torch.manual_seed(0)
        state = vgg19().features[:4].state_dict(prefix="features.")
    torch.save(state, folder / "vgg.pth")
    with torch.random.fork_rng():
        torch.manual_seed(0)
        torch.save(encoder(4).state_dict(), folder / "encoder.pth")
    return folder


def flags(data: Path, arch: str = "cartoongan", **changed: Any) -> list[str]:
    """The options of a tiny run, some of them otherwise, or left out (None)."""
    options: dict[str, Any] = {
        "arch": arch,
        "photos": data / "photos",
        "cartoons": data / ("pairs" if arch == "pix2pix" else "cartoons"),
        "width": 4,
        "discriminator_width": 4,
        "size": SIZE,
        "batch_size": 2,
        "workers": 0,
        "precision": "fp32",
        "device": "cpu",
        "epochs": 2,
        "log_every": 1,
    }
    if arch.startswith("adain"):
        options |= {"discriminator_width": None, "content_weights": data / "encoder.pth"}
    if arch == "pix2pix":
        options["depth"] = 3
    elif arch != "adain":
        options["blocks"] = 1
    if arch.startswith("cartoongan"):
        options |= {"init_epochs": 1, "content": "vgg19:conv1_2", "content_weights": data / "vgg.pth"}
    options |= changed
    words = []
    for name, value in options.items():
        flag = name.replace("_", "-")
        if isinstance(value, bool):
            words.append(f"--{flag}" if value else f"--no-{flag}")
        elif value is not None:
            words += [f"--{flag}", str(value)]
    return words


def noise_flags(data: Path, arch: str, **changed: Any) -> list[str]:
    """The same of a generator from noise."""
    options: dict[str, Any] = {
        "arch": arch,
        "pictures": data / "photos",
        "width": 8,
        "discriminator_width": 8,
        "size": 32,
        "batch_size": 2,
        "workers": 0,
        "precision": "fp32",
        "device": "cpu",
        "steps": 2,
        "log_every": 1,
    }
    options |= changed
    return [word for name, value in options.items() for word in (f"--{name.replace('_', '-')}", str(value))]


def train(*arguments: Any) -> int:
    return main(["train", *map(str, arguments)])


def entries(run: Path) -> list[Entry]:
    return read(run / "metrics.jsonl")


def losses(run: Path) -> dict[int, Mapping[str, Any]]:
    """The losses of the log, by step."""
    return {entry.step: entry.losses for entry in entries(run) if isinstance(entry, Losses)}


def notes(run: Path) -> list[str]:
    return [entry.note for entry in entries(run) if isinstance(entry, Note)]


def checkpoint(run: Path) -> dict[str, Any]:
    """The last one."""
    return load(sorted((run / "checkpoints").glob("step-*.pt"))[-1])


def load(path: Path) -> dict[str, Any]:
    return torch.load(path, weights_only=True)


def steps_saved(run: Path) -> list[int]:
    return [int(path.stem.removeprefix("step-")) for path in sorted((run / "checkpoints").glob("step-*.pt"))]


def same(a: object, b: object) -> bool:
    """Whether two structures of tensors are equal bit for bit."""
    if isinstance(a, torch.Tensor):
        return isinstance(b, torch.Tensor) and a.dtype == b.dtype and torch.equal(a, b)
    if isinstance(a, Mapping):
        return isinstance(b, Mapping) and list(a) == list(b) and all(same(a[key], b[key]) for key in a)
    if isinstance(a, Sequence) and not isinstance(a, str):
        return isinstance(b, Sequence) and len(a) == len(b) and all(map(same, a, b))
    return a == b


def at_step(patch: pytest.MonkeyPatch, number: int, act: Callable[[], None]) -> None:
    """Do something while a run takes a step (from 0)."""
    step = Method.step

    def acting(self: Method, batch: Any, phase: str, now: int, **options: Any) -> Any:
        if now == number:
            act()
        return step(self, batch, phase, now, **options)

    patch.setattr(Method, "step", acting)


def interrupt(which: signal.Signals = signal.SIGINT) -> None:
    """Ctrl-C, as this process meets it."""
    os.kill(os.getpid(), which)


def pictures(folder: Path) -> list[Path]:
    return sorted(folder.iterdir())
