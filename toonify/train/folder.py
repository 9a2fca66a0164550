"""A run's folder: what is where in it, its checkpoints, and the style that it leaves for convert and export."""

import platform
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
import torch
from torch import nn

import toonify
from toonify.checkpoint import fingerprint
from toonify.errors import ToonifyError, UsageError, describe, display
from toonify.files import remove_parts, replacing, write_atomically
from toonify.methods.method import Method
from toonify.models import ARCHITECTURES
from toonify.styles import Card, FileWeights, Training, Variant, parse_card
from toonify.train.options import Options

FORMAT = 1  # of checkpoints: raise it when an older toonify could not read them
_PADDING = 32  # pixels: what released generators darken along their borders; ours are of the same kind
_UNKNOWN_LICENCE = "NOASSERTION"  # SPDX's word


class RunFolder:
    """The files of one run. Only the leading process writes."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.log = path / "metrics.jsonl"
        self.page = path / "index.html"
        self.samples = path / "samples"
        self.drawings = path / "evaluation"  # the photos as drawn for the last evaluation
        self.best = path / "checkpoints" / "best.pt"
        self._checkpoints = path / "checkpoints"

    @property
    def name(self) -> str:
        """The id of the style: the folder's name, as far as ids allow."""
        return re.sub(r"[^a-z0-9_-]+", "-", self.path.resolve().name.lower()).strip("-_") or "run"

    def make(self) -> None:
        """Make the folder for a new run. Raises UsageError if something is in it."""
        if self.path.exists() and not self.path.is_dir():
            raise UsageError(f"--output {display(self.path)} is a file; give a folder")
        if self.path.is_dir() and any(self.path.iterdir()):
            hint = "; go on with --resume last, or" if self.checkpoints() else ";"
            raise UsageError(f"--output {display(self.path)} has a run or other files in it{hint} give another name")
        try:
            for folder in (self._checkpoints, self.samples):
                folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ToonifyError(f"--output {display(self.path)}: {describe(error)}") from error

    def checkpoints(self) -> list[Path]:
        """The checkpoints from old to new, without the best."""
        return sorted(self._checkpoints.glob("step-*.pt"))

    def find_checkpoint(self, which: str) -> Path:
        """The file that `--resume` means: the last checkpoint, or a file. Raises UsageError."""
        if which != "last":
            if not Path(which).is_file():
                raise UsageError(f"--resume {display(which)}: no such file; give last, or a checkpoint (.pt)")
            return Path(which)
        if not (there := self.checkpoints()):
            raise UsageError(f"--resume last: there is no checkpoint in {display(self._checkpoints)}")
        remove_parts(self._checkpoints)
        return there[-1]

    def save(self, checkpoint: dict[str, Any], keep: int) -> Path:
        """Write a checkpoint, whole or not at all, and remove all but the `keep` newest. Raises OSError."""
        self._checkpoints.mkdir(parents=True, exist_ok=True)
        path = self._checkpoints / f"step-{checkpoint['step']:08d}.pt"
        with replacing(path) as file:
            torch.save(checkpoint, file)
        for old in self.checkpoints()[:-keep]:
            old.unlink(missing_ok=True)
        return path

    def save_best(self, checkpoint: dict[str, Any]) -> None:
        """Keep a checkpoint as the best so far. Raises OSError."""
        with replacing(self.best) as file:
            torch.save(checkpoint, file)

    def sheets(self) -> list[tuple[int, Path]]:
        """The sheets of samples with their steps, from old to new."""
        return [(int(path.stem.removeprefix("step-")), path) for path in sorted(self.samples.glob("step-*.png"))]

    def write_style(self, network: nn.Module, card: Card, variant: str) -> None:
        """Put a generator beside the other variants of the run's card: weights first, then the card. Raises OSError.

        Weights that the card no longer names are removed last, so that the folder is a style at every moment.
        """
        (name,) = card.variants
        state = {key: tensor.detach().cpu().contiguous() for key, tensor in network.state_dict().items()}
        training = card.variants[name].training
        file = f"{variant}-{0 if training is None else training.steps:08d}.pth"
        with replacing(self.path / file) as target:
            torch.save(state, target)
        pinned = FileWeights(file=file, fingerprint=fingerprint(state))
        card_path = self.path / f"{self.name}.json"
        variants = {variant: msgspec.structs.replace(card.variants[name], weights=pinned)}
        if card_path.is_file():
            earlier = parse_card(card_path.read_bytes(), str(card_path)).variants
            variants = earlier | variants
        if "best" in variants:
            variants = {"best": variants.pop("best"), **variants}  # the first is the one that is preferred
        whole = msgspec.structs.replace(card, variants=variants)
        write_atomically(card_path, msgspec.json.format(msgspec.json.encode(whole), indent=2), overwrite=True)
        named = {each.weights.file for each in variants.values()}
        for path in self.path.glob(f"{variant}-*.pth"):
            if path.name not in named:
                path.unlink(missing_ok=True)


def read_checkpoint(path: Path) -> dict[str, Any]:
    """A checkpoint of a run, on the CPU; nothing in it is run. Raises UsageError."""
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises almost anything on a damaged file
        raise UsageError(f"--resume {display(path)}: damaged, or no checkpoint of a run; name an older one") from error
    if not isinstance(state, dict) or state.get("format") != FORMAT:
        raise UsageError(f"--resume {display(path)}: no checkpoint of a run, or one of another toonify; name another")
    return state


def style_card(folder: RunFolder, method: Method, options: Options, training: Training) -> Card:
    """The card of a run's style, with one variant whose weights are still to be written."""
    architecture = ARCHITECTURES[method.architecture]
    counts = ", ".join(f"{count} {what}" for what, count in training.pictures.items())
    note = f"Trained by toonify from {counts}."
    if options.licence == _UNKNOWN_LICENCE:
        note += (
            " What may be done with the weights depends on the licence of these pictures, which toonify cannot know."
        )
    variant = Variant(
        weights=FileWeights(file=""),
        architecture=method.architecture,
        config=dict(method.config),
        multiple=architecture.multiple(method.config),
        minimum=architecture.minimum(method.config),
        padding=_PADDING,
        size=options.draw_size or 3 * options.size,
        training=training,
    )
    return Card(
        id=folder.name,
        title=options.title or folder.path.resolve().name,
        licence=options.licence,
        licence_note=note,
        attribution=options.attribution,
        source=f"toonify train --arch {options.arch}",
        variants={"last": variant},
    )


def versions() -> dict[str, str]:
    """What a run is made with."""
    return {"toonify": toonify.__version__, "torch": str(torch.__version__), "python": platform.python_version()}


def plain(options: Options) -> dict[str, Any]:
    """The options that differ from the defaults, as a config file or a checkpoint holds them."""
    values: Mapping[str, Any] = msgspec.to_builtins(options)
    return dict(values)
