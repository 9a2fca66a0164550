"""From pictures to a style: a card and weights in the cache, made once."""

import hashlib
import re
import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import msgspec
import numpy as np

from toonify.checkpoints.hub import cache_folder
from toonify.errors import ImageError, StyleError, UsageError, display
from toonify.images import read_photo
from toonify.pixels.arrays import Floats, to_floats
from toonify.pixels.resize import fit_long_side, resize
from toonify.styles.card import Card, FileWeights, LocatedStyle, Variant
from toonify.styles.find import read_card, shipped_names

if TYPE_CHECKING:
    from torch import Tensor

GATYS = "gatys"  # the variant, and the architecture of its card
VARIANTS = ("adain", GATYS)
_RECIPE = 1  # goes up when the same pictures make another style
_CARD, _WEIGHTS = "style.json", "style.safetensors"
_LEAST = 32  # pixels of a picture's shorter side: in smaller ones there is nothing to be seen of a style
_PLAIN = 2 / 255  # standard deviation of a picture of one color
_MULTIPLE = 8  # of the encoder
_BYTES_PER_PIXEL = {"adain": 1_400, GATYS: 3_000}  # of memory on a CPU while drawing, measured
_MOST_STEPS, _MOST_SEED = 4096, 4096  # as a card's numbers


@dataclass(frozen=True)
class PictureOptions:
    """How pictures are looked at to make a style of them.

    `size` is the long side in pixels: of a smaller picture strokes are larger in the drawing's. `strength` is alpha of
    equation 14 of AdaIN. `weights` are those of several pictures (equation 15), in any unit; empty: all alike. The
    others are for the variant `gatys`: see `GatysConfig`.
    """

    size: int = 512
    strength: float = 1.0
    weights: tuple[float, ...] = ()
    steps: int = 100
    start: Literal["photo", "noise"] = "photo"
    seed: int = 0


def is_picture(name: str) -> bool:
    """Whether `--style name` means a picture: a file that is neither a card nor a network, by its content."""
    path = Path(name)
    try:
        with path.open("rb") as file:
            head = file.read(64).lstrip()
    except (OSError, ValueError):
        return False
    return path.suffix.lower() not in {".onnx", ".pth", ".pt", ".safetensors"} and not head.startswith((b"{", b"["))


def style_of_pictures(
    pictures: Sequence[Path], options: PictureOptions | None = None, variant: str = "auto"
) -> LocatedStyle:
    """The style of a picture, or of several blended: made, and kept in the cache, if it is not there.

    Its only variant is `adain`, or `gatys` where `variant` asks for it. Raises StyleError for a picture that cannot
    serve (it names the file), UsageError for options that cannot be, DownloadError if the networks cannot be fetched.
    """
    options = options or PictureOptions()
    chosen = _variant(variant, options)
    shares = _shares(options, len(pictures))
    looked_at = [_look_at(path, options.size) for path in pictures]
    name = "-".join(_slug(path) for path in pictures)[:60].strip("-")
    told: tuple[Any, ...] = (_RECIPE, shares, options.strength)
    if chosen == GATYS:
        told = (*told, GATYS, options.steps, options.start, options.seed)
    digest = hashlib.sha256(repr(told).encode())
    for pixels in looked_at:
        digest.update(f"{pixels.shape}".encode() + pixels.tobytes())
    folder = cache_folder() / "pictures" / f"{name}-{digest.hexdigest()[:16]}"
    if not (folder / _CARD).is_file():
        _make(folder, name, pictures, looked_at, shares, options, chosen)
    return LocatedStyle(read_card(folder / _CARD), folder)


def _variant(name: str, options: PictureOptions) -> str:
    """The variant that a name means. Raises UsageError if there is none, or for options that it does not have."""
    chosen = VARIANTS[0] if name == "auto" else name
    if chosen not in VARIANTS:
        raise UsageError(f"a picture as style has no variant {name!r}; choose --variant {' or '.join(VARIANTS)}")
    plain = PictureOptions()
    own = {"--steps": "steps", "--start-from": "start", "--seed": "seed"}
    given = [flag for flag, field in own.items() if getattr(options, field) != getattr(plain, field)]
    if chosen != GATYS and given:
        raise UsageError(
            f"{given[0]} is for --variant {GATYS}, which draws by optimization; drop it, or type that, too"
        )
    if not 1 <= options.steps <= _MOST_STEPS:
        raise UsageError(f"--steps {options.steps}: give a number from 1 to {_MOST_STEPS}")
    if not 0 <= options.seed <= _MOST_SEED:
        raise UsageError(f"--seed {options.seed}: give a number from 0 to {_MOST_SEED}")
    if options.start not in ("photo", "noise"):
        raise UsageError(f"--start-from {options.start}: choose photo or noise")
    return chosen


def _shares(options: PictureOptions, count: int) -> tuple[float, ...]:
    if not 0 <= options.strength <= 1:
        raise UsageError(f"--style-strength {options.strength:g}: give a number from 0 to 1")
    if options.size < _LEAST:
        raise UsageError(f"--style-size {options.size}: give {_LEAST} pixels or more")
    weights = options.weights or (1.0,) * count
    if len(weights) != count:
        raise UsageError(f"--style-weight is given {len(weights)} times for {count} pictures; give one for each")
    total = sum(weights)
    if min(weights) < 0 or not 0 < total < float("inf"):
        raise UsageError("--style-weight: give numbers of 0 or more, one of them more")
    return tuple(weight / total for weight in weights)


def _look_at(path: Path, size: int) -> np.ndarray:
    """The pixels of a picture at the size at which its strokes are looked at, cut to multiples of 8: h x w x 3."""
    try:
        with path.open("rb") as file:
            photo = read_photo(file)
    except (ImageError, OSError) as error:
        why = error.strerror if isinstance(error, OSError) else error
        raise StyleError(f"style {display(path)} cannot be read as a picture: {why}") from error
    pixels = photo.pixels
    if photo.alpha is not None:  # on white, as a sheet of paper
        share = to_floats(photo.alpha)[..., None]
        pixels = np.rint(255 * (1 - share) + share * pixels).astype(np.uint8)
    height, width = pixels.shape[:2]
    if min(height, width) < _LEAST:
        raise StyleError(f"style {display(path)} has {width} x {height} pixels; give a picture of {_LEAST} or more")
    height, width = fit_long_side(height, width, min(size, max(height, width)))
    pixels = resize(pixels, (max(height, _LEAST), max(width, _LEAST)))
    if to_floats(pixels).std(axis=(0, 1)).max() < _PLAIN:
        raise StyleError(f"style {display(path)} is of one color; give a picture with something in it")
    height, width = (side // _MULTIPLE * _MULTIPLE for side in pixels.shape[:2])
    return np.ascontiguousarray(pixels[:height, :width])


def _slug(path: Path) -> str:
    """A picture's name as the id of a style may be; that of a style that comes with toonify stays its own."""
    slug = re.sub(r"[^a-z0-9_]+", "-", path.stem.lower()).strip("-_") or "picture"
    return f"{slug}-picture" if slug in shipped_names() else slug


def _make(
    folder: Path,
    name: str,
    pictures: Sequence[Path],
    looked_at: Sequence[np.ndarray],
    shares: Sequence[float],
    options: PictureOptions,
    variant: str,
) -> None:
    """Write a style's folder, whole or not at all."""
    import safetensors.torch
    import torch

    from toonify.checkpoints.tensors import fingerprint

    batches = [torch.from_numpy(_batch(pixels)) for pixels in looked_at]
    state = (_grams if variant == GATYS else _generator)(batches, shares, options)
    weights = FileWeights(_WEIGHTS, fingerprint(state))
    card = _card(name, pictures, weights, options, variant)
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".making-") as made:
            part = Path(made) / folder.name
            part.mkdir()
            safetensors.torch.save_file(state, part / _WEIGHTS)
            (part / _CARD).write_bytes(msgspec.json.format(msgspec.json.encode(card)))
            if folder.exists():  # left without its card
                shutil.rmtree(folder)
            part.rename(folder)
    except OSError as error:
        if not (folder / _CARD).is_file():  # another process was not first either
            raise StyleError(f"cannot keep the style of {name} in {folder}: {error.strerror}; set HF_HOME") from error


def _generator(pictures: "Sequence[Tensor]", shares: Sequence[float], options: PictureOptions) -> "dict[str, Tensor]":
    """AdaIN's networks with the style in them."""
    from toonify.models.adain import AdaINConfig
    from toonify.transfer.networks import published_generator

    generator = published_generator(AdaINConfig(strength=options.strength))
    generator.take_styles(pictures, shares)
    return generator.state_dict()


def _grams(pictures: "Sequence[Tensor]", shares: Sequence[float], options: PictureOptions) -> "dict[str, Tensor]":
    from toonify.transfer.grams import grams_of
    from toonify.transfer.vgg import published_features

    return grams_of(pictures, shares, published_features())


def _batch(pixels: np.ndarray) -> Floats:
    return np.ascontiguousarray(to_floats(pixels).transpose(2, 0, 1)[None])


def _card(name: str, pictures: Sequence[Path], weights: FileWeights, options: PictureOptions, variant: str) -> Card:
    config: dict[str, Any] = {} if options.strength == 1 else {"strength": options.strength}
    attribution = "Xun Huang and Serge Belongie (AdaIN); Naoto Inoue (weights for PyTorch)"
    sizes: dict[str, Any] = {"multiple": _MULTIPLE, "minimum": 2 * _MULTIPLE, "padding": 16, "size": 768}
    if variant == GATYS:  # all that it takes, so that pictures stay known when a default changes
        config = {each: getattr(options, each) for each in ("steps", "start", "seed", "strength")}
        attribution = "Leon A. Gatys, Alexander S. Ecker and Matthias Bethge; Naoto Inoue (weights for PyTorch)"
        sizes = {"multiple": 16, "minimum": 32, "padding": 8, "size": 512}
    return Card(
        id=name,
        title=f"In the style of {' and '.join(path.name for path in pictures)}",
        license="MIT",
        license_note="of the networks; the picture has its own",
        attribution=attribution,
        source="https://github.com/naoto0804/pytorch-AdaIN",
        variants={
            variant: Variant(
                weights=weights,
                architecture=variant,
                config=config,
                value_range=(0.0, 1.0),
                bytes_per_pixel=_BYTES_PER_PIXEL[variant],
                **sizes,
            )
        },
    )
