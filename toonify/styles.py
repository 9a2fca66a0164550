"""Style cards: all that a look needs to know, as data.

A card is a JSON file. It says what the style is called, who made it and under which licence, and for each of its
variants where the weights are, which network they fit, and how the style likes to be drawn. No code branches on a
style's name: a new style is a new card.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec

from toonify.errors import StyleError, UsageError, display

Unit = Annotated[float, msgspec.Meta(ge=0, le=1)]
Positive = Annotated[int, msgspec.Meta(ge=1)]


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


class Variant(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One network that draws the style, and the defaults that suit it."""

    weights: HubWeights | FileWeights
    architecture: str  # a name in `models.ARCHITECTURES`
    config: dict[str, int | float | str | bool] = {}  # what the architecture's config differs in from its defaults
    channels: Literal["rgb", "bgr"] = "rgb"
    value_range: tuple[float, float] = (-1.0, 1.0)  # of the network's input and output
    multiple: Positive = 1  # of which height and width must be
    minimum: Positive = 1  # that height and width must reach
    padding: Annotated[int, msgspec.Meta(ge=0)] = 0  # pixels of reflected border that the network needs, cropped after
    size: Positive | None = None  # long side at which the style is drawn, in pixels; None: the photo's own
    bytes_per_pixel: Positive | None = None  # of memory on a CPU while drawing, measured
    keep_color: Unit = 0.0
    saturation: Annotated[float, msgspec.Meta(ge=0)] = 1.0
    training: Training | None = None  # of weights that toonify has trained


class Card(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A style: its name, its makers, its licence and its variants (the preferred one first)."""

    id: Annotated[str, msgspec.Meta(pattern=r"^[a-z0-9][a-z0-9_-]*$")]
    title: str
    licence: str  # SPDX identifier
    attribution: str
    source: str
    variants: Annotated[dict[str, Variant], msgspec.Meta(min_length=1)]
    licence_note: str = ""


@dataclass(frozen=True)
class LocatedStyle:
    """A card and where it was found: file names in the card are relative to `folder`."""

    card: Card
    folder: Path

    def variant(self, name: str = "auto") -> tuple[str, Variant]:
        """Name and content of the variant `name`; "auto" is the card's first.

        Raises UsageError if the style has no such variant.
        """
        if name == "auto":
            name = next(iter(self.card.variants))
        if name not in self.card.variants:
            raise UsageError(
                f"style {self.card.id} has no variant {name!r}; choose --variant {' or '.join(self.card.variants)}"
            )
        return name, self.card.variants[name]


def parse_card(text: str | bytes, where: str) -> Card:
    """Read a card from JSON; `where` names it in the StyleError that a wrong one raises."""
    try:
        return msgspec.json.decode(text, type=Card)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise StyleError(f"{where} is no style card: {error}; compare `toonify styles show shinkai --json`") from error


def shipped_folder() -> Path:
    """The folder of the cards that come with toonify: in the wheel inside the package, in a checkout beside it."""
    inside = Path(__file__).parent / "weights"
    return inside if inside.is_dir() else Path(__file__).parent.parent / "weights"


def shipped_styles() -> dict[str, LocatedStyle]:
    """The styles that come with toonify, by id."""
    folder = shipped_folder()
    cards = (parse_card(path.read_bytes(), str(path)) for path in sorted(folder.glob("*.json")))
    return {card.id: LocatedStyle(card, folder) for card in cards}


def find_style(name: str) -> LocatedStyle:
    """The style that `--style name` means: a shipped id, a card, an ONNX file or the folder of a run.

    A path must exist; a bare word is an id first. An ONNX file carries its card in its metadata, or has one beside it
    with the same name. A folder has one card in it.

    Raises UsageError if there is no such style, StyleError if it is there but cannot be used.
    """
    styles = shipped_styles()
    if name in styles:
        return styles[name]
    path = Path(name)
    try:
        return _style_at(path)
    except OSError as error:
        raise UsageError(
            f"style {display(name)}: {error.strerror}; `toonify styles` lists the styles by name"
        ) from error


def _style_at(path: Path) -> LocatedStyle:
    if path.is_dir():
        return _card_in_folder(path)
    if path.suffix.lower() == ".onnx" and path.is_file():
        return _card_of_onnx(path)
    if path.is_file():
        return LocatedStyle(parse_card(path.read_bytes(), str(path)), path.parent)
    if len(path.parts) > 1 or path.suffix:
        raise UsageError(f"style {display(path)}: no such file or folder; `toonify styles` lists the styles by name")
    names = ", ".join(shipped_styles())
    raise UsageError(f"style {display(path)}: no such style; choose one of {names}, or give a path")


def cards_in(folder: Path) -> list[Path]:
    """The style cards in a folder; reports and manifests, which may lie there, too, are none."""
    return [path for path in sorted(folder.glob("*.json")) if _may_be_card(path)]


def _may_be_card(path: Path) -> bool:
    """Whether a file is to be taken for a card. What cannot be read as JSON at all may be one that is damaged."""
    try:
        data = msgspec.json.decode(path.read_bytes())
    except (OSError, msgspec.MsgspecError, UnicodeDecodeError):
        return path.is_file()
    return isinstance(data, dict) and "variants" in data


def _card_in_folder(folder: Path) -> LocatedStyle:
    cards = cards_in(folder)
    if len(cards) != 1:
        raise UsageError(f"style {folder}: expected one card (.json) in there, found {len(cards)}; name the card")
    return LocatedStyle(parse_card(cards[0].read_bytes(), str(cards[0])), folder)


def _card_of_onnx(path: Path) -> LocatedStyle:
    beside = path.with_suffix(".json")
    if beside.is_file():
        return LocatedStyle(parse_card(beside.read_bytes(), str(beside)), path.parent)
    from toonify.engines.runtime import read_onnx_metadata
    from toonify.onnx_format import CARD_KEY

    text = read_onnx_metadata(path).get(CARD_KEY)
    if text is None:
        raise StyleError(
            f"{path} carries no style card, so its channel order and value range are unknown; "
            f"write one as {beside} (`toonify styles show shinkai --json` is an example)"
        )
    card = parse_card(text, str(path))
    return LocatedStyle(embedded_card(card, next(iter(card.variants)), path.name), path.parent)


def embedded_card(card: Card, variant: str, file: str) -> Card:
    """The card as it stands inside an ONNX file: one variant, whose weights are the file itself."""
    alone = msgspec.structs.replace(card.variants[variant], weights=FileWeights(file=file))
    return msgspec.structs.replace(card, variants={variant: alone})
