"""From the name of a style to its card."""

import difflib
from dataclasses import replace
from pathlib import Path

import msgspec

from toonify.errors import StyleError, ToonifyError, UsageError, display
from toonify.styles.card import Card, LocatedStyle, embedded_card
from toonify.system.json_data import decode_json

_MOST_BYTES = 4 << 20  # of a card
_FORMER_NAMES = {"licence": "license", "licence_note": "license_note"}  # of the fields of a card


def parse_card(text: str | bytes, where: str) -> Card:
    """Read a card from JSON; `where` names it in the StyleError that a wrong one raises.

    Names that fields had in toonify 0.1.0 are read, too.
    """
    try:
        fields = decode_json(text)
        if isinstance(fields, dict):
            fields = {_FORMER_NAMES.get(name, name): value for name, value in fields.items()}
        return msgspec.convert(fields, Card)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise StyleError(
            f"{where} does not describe a style: {error}; compare `toonify styles show shinkai --json`"
        ) from error


def read_card(path: Path) -> Card:
    """Read the card in a file. Raises StyleError if it is none, OSError."""
    if path.exists() and not path.is_file():  # to open a pipe would wait for ever
        raise StyleError(f"{display(path)} is no file; give the .json of a style")
    if path.exists() and path.stat().st_size > _MOST_BYTES:
        raise StyleError(f"{display(path)} does not describe a style: it is longer than {_MOST_BYTES >> 20} MB")
    return parse_card(path.read_bytes(), str(path))


def shipped_folder() -> Path:
    """The folder of the cards that come with toonify: in the wheel inside the package, in a checkout beside it."""
    inside = Path(__file__).parents[1] / "weights"
    return inside if inside.is_dir() else Path(__file__).parents[2] / "weights"


def shipped_names() -> list[str]:
    """The ids of the styles that come with toonify; no card is read."""
    return sorted(path.stem for path in shipped_folder().glob("*.json"))


def shipped_styles() -> dict[str, LocatedStyle]:
    """The styles that come with toonify, by id."""
    return {name: _shipped(name) for name in shipped_names()}


def _shipped(name: str) -> LocatedStyle:
    folder = shipped_folder()
    card = msgspec.json.decode((folder / f"{name}.json").read_bytes(), type=Card)
    return LocatedStyle(card, folder, ships=True)


def find_style(name: str) -> LocatedStyle:
    """The style that `--style name` means, which draws photos: see `find_any`. Raises what that does."""
    found = find_any(name)
    if from_noise(found):
        architecture = found.variant().variant.architecture
        raise UsageError(
            f"{display(name)} draws pictures from noise ({architecture}), no photos; type `toonify generate "
            f"{display(name)}`, or give a style"
        )
    if from_pictures(found):
        raise UsageError(
            f"{display(name)} draws in the style of a picture; type --style PICTURE --style-network {display(name)}"
        )
    return found


def from_noise(style: LocatedStyle) -> bool:
    """Whether a style draws pictures from noise, so that no photo can be drawn with it."""
    return any(variant.input == "noise" for variant in style.card.variants.values())


def from_pictures(style: LocatedStyle) -> bool:
    """Whether a style draws photos in the styles of pictures, so that it needs one to draw with."""
    return any(variant.input == "pictures" for variant in style.card.variants.values())


def find_picture_network(name: str) -> LocatedStyle:
    """The network that draws in the styles of pictures which `name` means: see `find_any`. Raises what that does."""
    found = find_any(name)
    if not from_pictures(found):
        raise UsageError(
            f"{display(name)} does not draw in the styles of pictures; give the folder of a run of `toonify train "
            "--arch adain` or adain-lite"
        )
    return found


def shipped_picture_network() -> LocatedStyle:
    """The network for pictures as styles that comes with toonify: a file that holds its card."""
    return replace(_card_of_onnx(shipped_folder() / "pictures-lite.onnx"), ships=True)


def find_generator(name: str) -> LocatedStyle:
    """The generator of pictures from noise that `name` means: see `find_any`. Raises what that does."""
    found = find_any(name)
    if not from_noise(found):
        raise UsageError(
            f"{display(name)} draws photos, nothing from noise; give the folder of a run of `toonify train --arch "
            "stylegan`, progan or dcgan"
        )
    return found


def generator_at(name: str) -> LocatedStyle | None:
    """The generator from noise that a folder or a card is of; None if it is of none, as a folder of pictures is."""
    path = Path(name)
    try:
        if not (path.is_dir() and cards_in(path)) and path.suffix.lower() != ".json":
            return None
        found = find_any(name)
    except (ToonifyError, OSError):
        return None
    return found if from_noise(found) else None


def find_any(name: str) -> LocatedStyle:
    """What `name` means, whatever it draws from: a shipped id, a card, an ONNX file or the folder of a run.

    A path must exist; a bare word is an id first, in capitals or not. An ONNX file carries its card in its metadata, or
    has one beside it with the same name. A folder has one card in it.

    Raises UsageError if there is no such style, StyleError if it is there but cannot be used.
    """
    if (known := name.lower()) in shipped_names():
        return _shipped(known)
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
    if path.suffix.lower() == ".pkl":  # as NVIDIA publishes StyleGANs
        raise UsageError(f"{display(path)}: a pickle (.pkl) is code, which toonify does not run; give a run's folder")
    if path.is_file():
        return LocatedStyle(read_card(path), path.parent)
    names = shipped_names()
    if len(path.parts) > 1 or path.suffix:
        what = "file" if path.suffix else "file or folder"
        raise UsageError(f"style {display(path)}: no such {what}; the styles by name are {', '.join(names)}")
    close = difflib.get_close_matches(path.name.lower(), names, n=1)
    near = f" (is it {close[0]}?)" if close else ""
    raise UsageError(f"style {display(path)}: no such style{near}; choose one of {', '.join(names)}, or give a path")


def cards_in(folder: Path) -> list[Path]:
    """The style cards in a folder; reports and manifests, which may lie there, too, are none."""
    return [path for path in sorted(folder.glob("*.json")) if _may_be_card(path)]


def _may_be_card(path: Path) -> bool:
    """Whether a file is to be taken for a card. What cannot be read as JSON at all may be one that is damaged."""
    if not path.is_file() or path.stat().st_size > _MOST_BYTES:
        return False
    try:
        data = decode_json(path.read_bytes())
    except (OSError, msgspec.MsgspecError, UnicodeDecodeError):
        return path.is_file()
    return isinstance(data, dict) and "variants" in data


def _card_in_folder(folder: Path) -> LocatedStyle:
    cards = cards_in(folder)
    if len(cards) != 1:
        raise UsageError(f"style {folder}: expected one .json of a style in there, found {len(cards)}; name it")
    return LocatedStyle(read_card(cards[0]), folder)


def _card_of_onnx(path: Path) -> LocatedStyle:
    beside = path.with_suffix(".json")
    if beside.is_file():
        return LocatedStyle(read_card(beside), path.parent)
    from toonify.graphs.format import CARD_KEY, read_onnx_metadata

    text = read_onnx_metadata(path).get(CARD_KEY)
    if text is None:
        raise StyleError(
            f"{path} does not say what it draws, so its channel order and value range are unknown; "
            f"describe it in {beside} (`toonify styles show shinkai --json` is an example)"
        )
    style = LocatedStyle(parse_card(text, str(path)), path.parent).variant()
    int8 = style.variant.int8
    renamed = None if int8 is None else msgspec.structs.replace(int8, file=path.name)
    return LocatedStyle(embedded_card(style, path.name, renamed), path.parent)
