"""Style cards: all that a style needs to know, as data.

A card is a JSON file. It says what the style is called, who made it and under which license, and for each of its
variants where the weights are, which network they fit, and how the style likes to be drawn. No code branches on a
style's name: a new style is a new card.
"""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec

from toonify.errors import StyleError, UsageError, WeightsError
from toonify.styles.look import Look
from toonify.system.files import below, file_digest

Unit = Annotated[float, msgspec.Meta(ge=0, le=1)]
Side = Annotated[int, msgspec.Meta(ge=1, le=65_536)]  # pixels
Name = Annotated[str, msgspec.Meta(pattern=r"\A[a-z0-9][a-z0-9_-]*\Z", max_length=100)]  # becomes part of file names
_Few = Annotated[int, msgspec.Meta(ge=-4096, le=4096)]  # what networks are counted by

UNKNOWN_LICENSE = "NOASSERTION"  # SPDX's word


class HubWeights(msgspec.Struct, tag_field="from", tag="hub", frozen=True, forbid_unknown_fields=True):
    """A checkpoint in a repository of the Hugging Face hub."""

    repository: str  # owner/name
    file: str
    fingerprint: str  # of the tensors: see `tensors.fingerprint`
    megabytes: float  # of the file, about
    revision: str = "main"


class FileWeights(msgspec.Struct, tag_field="from", tag="file", frozen=True, forbid_unknown_fields=True):
    """A file beside the card: tensors (.safetensors, .pth) or a network (.onnx)."""

    file: str  # relative to the card's folder
    fingerprint: str | None = None  # of a checkpoint's tensors; "sha256:..." of an ONNX file

    @property
    def is_onnx(self) -> bool:
        """Whether the file is a network that runs as it is, not a checkpoint."""
        return self.file.lower().endswith(".onnx")


class Int8(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The same network in 8-bit integers, for CPUs: an ONNX file beside the card, which `export --int8` has written."""

    file: str  # relative to the card's folder
    fingerprint: str | None = None  # "sha256:..."
    photos: int = 0  # on which the ranges of its activations were measured
    psnr: float | None = None  # of its drawing of the check photo to that in float32, in dB


class Training(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How weights came about: what it takes to train them again."""

    method: str  # `train --arch`
    options: dict[str, Any]  # that differ from the defaults
    steps: int
    epochs: int
    seed: int
    pictures: dict[str, int]  # in each folder: photos, cartoons, smooth
    versions: dict[str, str]  # of toonify, PyTorch and Python
    hours: float  # of training
    scores: dict[str, float] = {}  # measured after `steps`, if it was
    teacher: str | None = None  # id and variant of the style that was distilled
    ancestors: list[str] = []  # fingerprints of the weights that `--start-from` began with, the oldest first


class Variant(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One network that draws the style, and the defaults that suit it."""

    weights: HubWeights | FileWeights
    architecture: str  # a name in `models.ARCHITECTURES`
    config: dict[str, _Few | float | str | bool] = {}  # what the architecture's config differs in from its defaults
    channels: Literal["rgb", "bgr"] = "rgb"
    value_range: tuple[float, float] = (-1.0, 1.0)  # of the network's input and output
    multiple: Annotated[int, msgspec.Meta(ge=1, le=1024)] = 1  # of which height and width must be
    minimum: Annotated[int, msgspec.Meta(ge=1, le=4096)] = 1  # that height and width must reach
    padding: Annotated[int, msgspec.Meta(ge=0, le=1024)] = 0  # pixels of reflected border, cropped after
    size: Side | None = None  # long side at which the style is drawn, in pixels; None: the photo's own
    bytes_per_pixel: Annotated[int, msgspec.Meta(ge=1, le=10_000_000)] | None = None  # of memory on a CPU
    keep_color: Unit = 0.0
    saturation: Annotated[float, msgspec.Meta(ge=0, le=4)] = 1.0
    training: Training | None = None  # of weights that toonify has trained
    int8: Int8 | None = None  # its file may be that of the weights themselves: then there is no other
    # What it draws from. noise: `toonify generate` draws with it; pictures: of a photo and a picture, in the style of
    # that (`convert --style PICTURE --style-network`).
    input: Literal["photo", "noise", "pictures"] = "photo"


class Card(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A style: its name, its makers, its license and its variants (the preferred one first)."""

    id: Name
    title: str
    license: str  # SPDX identifier
    attribution: str
    source: str
    variants: Annotated[dict[Name, Variant], msgspec.Meta(min_length=1)]
    license_note: str = ""
    look: Look | None = None  # how its drawings are finished by default; None: softly


@dataclass(frozen=True)
class LocatedStyle:
    """A card and where it was found: file names in the card are relative to `folder`."""

    card: Card
    folder: Path
    ships: bool = False  # whether it comes with toonify, so that nobody else has written it

    def variant(self, name: str = "auto") -> "StyleVariant":
        """The variant `name`; "auto" is the card's first. Raises UsageError if the style has no such variant."""
        if name == "auto":
            name = next(iter(self.card.variants))
        if name not in self.card.variants:
            raise UsageError(
                f"style {self.card.id} has no variant {name!r}; choose --variant {' or '.join(self.card.variants)}"
            )
        return StyleVariant(self.card, self.folder, name, self.card.variants[name], self.ships)

    def variants(self) -> "list[StyleVariant]":
        """All variants, the preferred one first."""
        return [self.variant(name) for name in self.card.variants]


@dataclass(frozen=True)
class StyleVariant:
    """A variant of a style where its card was found: all that it takes to get its network."""

    card: Card
    folder: Path
    name: str
    variant: Variant
    ships: bool = False  # as of `LocatedStyle`

    @property
    def label(self) -> str:
        """How messages, cards and manifests call it."""
        return f"{self.card.id} ({self.name})"

    @property
    def file(self) -> Path:
        """The file of weights beside the card. Raises StyleError if it is missing."""
        return self._beside(self.variant.weights.file)

    def _beside(self, name: str) -> Path:
        path = self.folder / name if self.ships else below(self.folder, name)
        if not path.is_file():
            raise StyleError(f"{path} is missing, which the style {self.card.id} needs")
        return path

    @cached_property
    def onnx(self) -> Path | None:
        """The ONNX network that the card names; None if it names a checkpoint.

        Raises StyleError if the file is missing, WeightsError if it is not the one that the card pins.
        """
        weights = self.variant.weights
        if not isinstance(weights, FileWeights) or not weights.is_onnx:
            return None
        return self._pinned(weights)

    @cached_property
    def int8(self) -> Path | None:
        """The ONNX network in 8-bit integers that the card names; None if it names none. Raises what `onnx` does."""
        return None if self.variant.int8 is None else self._pinned(self.variant.int8)

    def _pinned(self, named: "FileWeights | Int8") -> Path:
        path = self._beside(named.file)
        if named.fingerprint is not None and named.fingerprint != f"sha256:{file_digest(path)}":
            raise WeightsError(f"{path} is another file than the style {self.card.id} names (its SHA-256)")
        return path

    @cached_property
    def digest(self) -> str:
        """What tells the network from all others: the fingerprint that the card pins, or a digest of its file.

        Raises what `onnx` does, and StyleError if a file is missing that is not pinned.
        """
        network = self.onnx
        return self.variant.weights.fingerprint or f"sha256:{file_digest(network or self.file)}"

    @cached_property
    def int8_digest(self) -> str:
        """The same of the network in 8-bit integers, which the card must name."""
        assert self.variant.int8 is not None  # noqa: S101 - whoever asks has looked
        path = self.int8
        assert path is not None  # noqa: S101
        return self.variant.int8.fingerprint or f"sha256:{file_digest(path)}"

    def __getstate__(self) -> dict[str, Any]:
        """The digests travel to other machines; that the files are the right ones is for each to see."""
        return {name: value for name, value in vars(self).items() if name not in ("onnx", "int8")}


def embedded_card(style: StyleVariant, file: str, int8: Int8 | None = None) -> Card:
    """The card as it stands inside an ONNX file: one variant, whose weights are the file itself.

    `int8` is what is to be said of it if it is in 8-bit integers.
    """
    alone = msgspec.structs.replace(style.variant, weights=FileWeights(file=file), int8=int8)
    return msgspec.structs.replace(style.card, variants={style.name: alone})
