"""A run's folder: what is where in it, its checkpoints, and the style that it leaves for convert and export."""

import contextlib
import os
import platform
import re
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import msgspec
import safetensors.torch
import torch
from torch import nn

from toonify.checkpoints.tensors import fingerprint
from toonify.errors import StyleError, ToonifyError, UsageError, describe, display
from toonify.methods.method import Method
from toonify.models import ARCHITECTURES
from toonify.styles.card import UNKNOWN_LICENSE, Card, FileWeights, Int8, Training, Variant
from toonify.styles.find import read_card
from toonify.system.files import remove_parts, replacing, write_atomically
from toonify.system.locks import only_process
from toonify.train.begin import license_note
from toonify.train.options import Options, RunOptions
from toonify.version import __version__

FORMAT = 1  # of checkpoints: raise it when an older toonify could not read them
_WEIGHTS = ("safetensors", "pth")  # the latter of an older toonify
_PARTS = {"options", "step", "seconds", "parts", "best", "pictures", "processes", "method"}  # of one
_STYLE_FILE = re.compile(rf"(best|last|lite)-\d+\.({'|'.join(_WEIGHTS)})")
_PADDING = 32  # pixels: what released generators darken along their borders; ours are of the same kind


class RunFolder:
    """The files of one run. Only the leading process writes."""

    CHECKPOINTS = "checkpoints"

    def __init__(self, path: Path) -> None:
        self.path = path
        self.log = path / "metrics.jsonl"
        self.page = path / "index.html"
        self.samples = path / "samples"
        self.drawings = path / "evaluation"  # the photos as drawn for the last evaluation
        self._checkpoints = path / self.CHECKPOINTS
        self.best = self._checkpoints / "best.pt"
        self._unsaved = self._checkpoints / "nothing-saved-yet"  # there from a run's beginning to its first checkpoint

    @property
    def name(self) -> str:
        """The id of the style: the folder's name, as far as ids allow."""
        return re.sub(r"[^a-z0-9_-]+", "-", self.path.resolve().name.lower()).strip("-_") or "run"

    def check(self, resumed: Path | None, *, prepared: Collection[str] = ()) -> None:
        """Raise UsageError unless a run can be written here; nothing is.

        A new run wants a folder that is not there, or an empty one but for the folders that it has `prepared`; so does
        one that goes on from a checkpoint (`resumed`) of another folder. A new run may also begin again where one was
        killed before its first checkpoint.
        """
        name = f"--output {display(self.path)}"
        if self.path == Path("-"):
            raise UsageError(f"{name}: a folder is written, which - cannot be; give a name, such as runs/mine")
        try:
            if os.path.lexists(self.path) and not self.path.is_dir():
                raise UsageError(f"{name} is a file; give a folder")
            above = next(path for path in (self.path, *self.path.absolute().parents) if path.exists())
            if not above.is_dir():
                raise UsageError(f"{name}: {display(above)} is a file; give another name")
            if not os.access(above, os.W_OK | os.X_OK):
                raise UsageError(f"{name}: no permission to write in {display(above)}; choose another place")
            is_own = resumed is not None and resumed.resolve().parent == self._checkpoints.resolve()
            if is_own or not self.path.is_dir() or (resumed is None and self._is_unsaved()):
                return
            there = [one for one in self.path.iterdir() if one.name not in prepared]
            if not there or (there == [self._checkpoints] and not any(self._checkpoints.iterdir())):
                return
        except OSError as error:
            raise UsageError(f"{name}: {describe(error)}") from error
        if resumed is not None:
            raise UsageError(f"{name} has other files in it, and {display(resumed)} is not of it; give another name")
        hint = "; go on with --resume last, or" if self.checkpoints() else ";"
        raise UsageError(f"{name} has a run or other files in it{hint} give another name")

    def reserved(self) -> contextlib.AbstractContextManager[None]:
        """Keep other processes from training here meanwhile. Raises UsageError if one does."""
        name = display(self.path)
        return only_process(
            self.path, f"--output {name}: another process trains there; wait for it, or give another name"
        )

    def make(self) -> None:
        """Make the folders of a run that starts or goes on, and tidy up after one that was killed.

        Raises ToonifyError if that is not possible.
        """
        try:
            self._checkpoints.mkdir(parents=True, exist_ok=True)
            if self._is_unsaved():
                self._remove_unsaved()
            elif not self.checkpoints() and not self.best.exists():
                self._unsaved.touch()
            self.samples.mkdir(exist_ok=True)
            for folder in (self._checkpoints, self.samples, self.path):
                remove_parts(folder)
        except OSError as error:
            raise ToonifyError(f"--output {display(self.path)}: {describe(error)}") from error

    def _is_unsaved(self) -> bool:
        """Whether a run began here and was killed before its first checkpoint."""
        return self._unsaved.is_file() and not self.checkpoints()

    def _remove_unsaved(self) -> None:
        """Remove the style of a run that was killed between writing it and its first checkpoint."""
        self.best.unlink(missing_ok=True)
        for path in self.path.iterdir():
            if _STYLE_FILE.fullmatch(path.name) or path.name == f"{self.name}.json":
                path.unlink()

    def checkpoints(self) -> list[Path]:
        """The checkpoints from old to new, without the best."""
        return [path for _, path in _numbered(self._checkpoints, ".pt")]

    def find_checkpoint(self, which: str) -> Path:
        """The file that `--resume` means: the last checkpoint, or a file. Raises UsageError."""
        if which != "last":
            if not os.path.isfile(which):  # noqa: PTH113 - Path.is_file raises for a name that is too long
                raise UsageError(f"--resume {display(which)}: no such file; give last, or a checkpoint (.pt)")
            return Path(which)
        if not self.path.is_dir():
            raise UsageError(f"--resume last: there is no folder {display(self.path)}; name the run's with --output")
        if not (there := self.checkpoints()):
            begin = "; the command that began the run begins it again" if self._is_unsaved() else ""
            raise UsageError(f"--resume last: there is no checkpoint in {display(self._checkpoints)}{begin}")
        return there[-1]

    def save(self, checkpoint: dict[str, Any], keep: int) -> Path:
        """Write a checkpoint, whole or not at all, and remove all but the `keep` newest. Raises OSError.

        Checkpoints of later steps go, too: they are of a course that was left when an older one was resumed.
        """
        step = checkpoint["step"]
        path = self._checkpoints / f"step-{step:08d}.pt"
        _write(checkpoint, path)
        self._unsaved.unlink(missing_ok=True)
        there = _numbered(self._checkpoints, ".pt")
        until_now = [path for number, path in there if number <= step]
        for old in [*until_now[:-keep], *(path for number, path in there if number > step)]:
            old.unlink(missing_ok=True)
        return path

    def save_best(self, checkpoint: dict[str, Any]) -> None:
        """Keep a checkpoint as the best so far. Raises OSError."""
        _write(checkpoint, self.best)

    def sheets(self, until: int) -> list[tuple[int, Path]]:
        """The sheets of samples up to a step, with their steps, from old to new."""
        return [(step, path) for step, path in _numbered(self.samples, ".png") if step <= until]

    def write_style(self, network: nn.Module, card: Card, variant: str) -> None:
        """Put a generator beside the other variants of the run's card: weights first, then the card. Raises OSError.

        Weights that the card no longer names are removed last, so that the folder is a style at every moment.
        """
        (name,) = card.variants
        state = {key: tensor.detach().cpu().contiguous() for key, tensor in network.state_dict().items()}
        training = card.variants[name].training
        file = f"{variant}-{0 if training is None else training.steps:08d}.safetensors"
        write_atomically(self.path / file, safetensors.torch.save(state), overwrite=True)
        pinned = FileWeights(file=file, fingerprint=fingerprint(state))
        card_path, earlier = self._card()
        variants = earlier | {variant: msgspec.structs.replace(card.variants[name], weights=pinned)}
        if "best" in variants:
            variants = {"best": variants.pop("best"), **variants}  # the first is the one that is preferred
        whole = msgspec.structs.replace(card, variants=variants)
        write_atomically(card_path, msgspec.json.format(msgspec.json.encode(whole), indent=2), overwrite=True)
        named = {each.weights.file for each in variants.values()}
        ours = re.compile(rf"{re.escape(variant)}-\d+\.({'|'.join(_WEIGHTS)})")
        for path in self.path.glob(f"{variant}-*"):
            if ours.fullmatch(path.name) and path.name not in named:
                path.unlink(missing_ok=True)

    def name_int8(self, variant: str, int8: Int8) -> None:
        """Name the file with a variant's network in 8-bit integers on the card. Raises OSError, StyleError."""
        path, _ = self._card()
        card = read_card(path)
        named = card.variants | {variant: msgspec.structs.replace(card.variants[variant], int8=int8)}
        whole = msgspec.structs.replace(card, variants=named)
        write_atomically(path, msgspec.json.format(msgspec.json.encode(whole), indent=2), overwrite=True)

    def _card(self) -> tuple[Path, dict[str, Variant]]:
        """Where the card is, or will be, and the variants that it has already."""
        path = self.path / f"{self.name}.json"
        there = list(self.path.glob("*.json"))
        if len(there) == 1:  # the folder may have been renamed, and a folder with two cards is no style
            with contextlib.suppress(StyleError):  # a file of the user's own: it is left alone
                return there[0], read_card(there[0]).variants
        try:
            return path, read_card(path).variants
        except (FileNotFoundError, StyleError):  # one that somebody has spoilt is written anew
            return path, {}


def _numbered(folder: Path, suffix: str) -> list[tuple[int, Path]]:
    """The files `step-N` of a folder with their numbers, in order."""
    found = ((re.fullmatch(r"step-(\d+)", path.stem), path) for path in folder.glob(f"step-*{suffix}"))
    return sorted((int(match[1]), path) for match, path in found if match is not None)


def _write(state: dict[str, Any], path: Path) -> None:
    """Save a dictionary of tensors, whole or not at all. Raises OSError."""
    try:
        with replacing(path) as file:
            torch.save(state, file)
    except RuntimeError as error:
        # PyTorch closes its archive when a write has failed, and that fails, too.
        if isinstance(error.__context__, OSError):
            raise error.__context__ from None
        raise


def read_checkpoint(path: Path) -> dict[str, Any]:
    """A checkpoint of a run, on the CPU; nothing in it is run. Raises UsageError."""
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises almost anything on a damaged file
        raise UsageError(f"--resume {display(path)}: damaged, or no checkpoint of a run; name an older one") from error
    if not isinstance(state, dict) or state.get("format") != FORMAT or not state.keys() >= _PARTS:
        raise UsageError(f"--resume {display(path)}: no checkpoint of a run, or one of another toonify; name another")
    return state


def style_card(folder: RunFolder, method: Method, options: Options, training: Training) -> Card:
    """The card of a run's style, with one variant whose weights are still to be written."""
    counts = ", ".join(f"{count} {what}" for what, count in training.pictures.items())
    note = f"Trained by toonify from {counts}."
    if options.start_from is not None:
        note += f" {license_note(options.start_from)}"
    if options.license == UNKNOWN_LICENSE:
        note += (
            " What may be done with the weights depends on the license of these pictures, which toonify cannot know."
        )
    if method.from_noise:
        variant = trained_variant(method, training, input="noise")
    else:
        size = options.draw_size or 3 * method.settings.size
        # AdaIN's networks pad by reflection, and the statistics of a border would be those of the frame, too.
        own: dict[str, Any] = {"input": "pictures"} if method.from_pictures else {"padding": _PADDING}
        variant = trained_variant(method, training, size=size, **own)
    return Card(
        id=folder.name,
        title=options.title or display(folder.path.resolve().name),
        license=options.license,
        license_note=note,
        attribution=options.attribution,
        source=f"toonify train --arch {options.arch}",
        variants={"last": variant},
    )


def trained_variant(method: Method, training: Training, **own: Any) -> Variant:
    """The variant of a method's network, whose weights are still to be written; `own` are further fields."""
    architecture = ARCHITECTURES[method.architecture]
    return Variant(
        weights=FileWeights(file=""),
        architecture=method.architecture,
        config=dict(method.config),
        multiple=architecture.multiple(method.config),
        minimum=architecture.minimum(method.config),
        training=training,
        **own,
    )


def versions() -> dict[str, str]:
    """What a run is made with."""
    return {"toonify": __version__, "torch": str(torch.__version__), "python": platform.python_version()}


def plain(options: RunOptions) -> dict[str, Any]:
    """The options that differ from the defaults, as a config file or a checkpoint holds them."""
    values: Mapping[str, Any] = msgspec.to_builtins(options)
    return dict(values)
