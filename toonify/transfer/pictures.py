"""From pictures to a style: a card and weights in the cache, made once."""

import hashlib
import logging
import re
import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import msgspec
import numpy as np

from toonify.checkpoints.hub import cache_folder
from toonify.errors import DownloadError, ImageError, StyleError, UsageError, display
from toonify.images import read_photo
from toonify.pixels.arrays import Floats, to_floats
from toonify.pixels.resize import fit_long_side, resize
from toonify.styles.card import Card, FileWeights, LocatedStyle, StyleVariant
from toonify.styles.find import read_card, shipped_names
from toonify.transfer.networks import OPTIMIZED, networks_for

_log = logging.getLogger(__name__)
_RECIPE = 2  # goes up when the same pictures make another style
_CARD = "style.json"
_LEAST = 32  # pixels of a picture's shorter side: in smaller ones there is nothing to be seen of a style
_PLAIN = 2 / 255  # standard deviation of a picture of one color
_MULTIPLE = 8  # of the networks
_MOST_STEPS, _MOST_SEED = 4096, 4096  # as a card's numbers


@dataclass(frozen=True)
class PictureOptions:
    """How pictures are looked at to make a style of them.

    `size` is the long side in pixels: of a smaller picture strokes are larger in the drawing's. `strength` is alpha of
    equation 14 of AdaIN. `weights` are those of several pictures (equation 15), in any unit; empty: all alike.
    `network` is the folder of a run, or a card, of a network that draws in the styles of pictures; None: toonify's own.
    The others are for the variant `gatys`: see `GatysConfig`.
    """

    size: int = 512
    strength: float = 1.0
    weights: tuple[float, ...] = ()
    network: str | None = None
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

    Its only variant is that of the network that `variant` means: see `networks_for`. Where "auto" takes another than
    the first, because that cannot be fetched, a warning says so. Raises StyleError for a picture that cannot serve (it
    names the file), UsageError for options that cannot be, DownloadError if the networks cannot be fetched.
    """
    options = options or PictureOptions()
    shares = _shares(options, len(pictures))
    networks = networks_for(variant, options.network)
    _check_optimization(options, networks[0])
    looked_at = [_look_at(path, options.size) for path in pictures]
    name = "-".join(_slug(path) for path in pictures)[:60].strip("-")
    digest = hashlib.sha256(repr((_RECIPE, shares, options.strength)).encode())
    if networks[0].name == OPTIMIZED:
        digest.update(repr((options.steps, options.start, options.seed)).encode())
    for pixels in looked_at:
        digest.update(f"{pixels.shape}".encode() + pixels.tobytes())
    for network in networks:
        of_network = digest.copy()
        of_network.update(f"{network.name} {network.digest}".encode())
        folder = cache_folder() / "pictures" / f"{name}-{of_network.hexdigest()[:16]}"
        try:
            if not (folder / _CARD).is_file():
                _make(folder, name, pictures, looked_at, shares, options, network)
        except DownloadError:
            if network is networks[-1]:
                raise
            _log.warning(
                "%s (%s) needs networks that are not here and cannot be fetched, so %s draws; "
                "--variant %s says what to fetch, --variant %s keeps this line away",
                *(name, network.name, networks[-1].name, network.name, networks[-1].name),
            )
        else:
            return LocatedStyle(read_card(folder / _CARD), folder)
    raise AssertionError("there is a network to try")


def _check_optimization(options: PictureOptions, network: StyleVariant) -> None:
    """Raise UsageError for options that what draws does not have, or that cannot be."""
    plain = PictureOptions()
    own = {"--steps": "steps", "--start-from": "start", "--seed": "seed"}
    given = [flag for flag, field in own.items() if getattr(options, field) != getattr(plain, field)]
    if network.name != OPTIMIZED and given:
        raise UsageError(
            f"{given[0]} is for --variant {OPTIMIZED}, which draws by optimization; drop it, or type that, too"
        )
    if not 1 <= options.steps <= _MOST_STEPS:
        raise UsageError(f"--steps {options.steps}: give a number from 1 to {_MOST_STEPS}")
    if not 0 <= options.seed <= _MOST_SEED:
        raise UsageError(f"--seed {options.seed}: give a number from 0 to {_MOST_SEED}")
    if options.start not in ("photo", "noise"):
        raise UsageError(f"--start-from {options.start}: choose photo or noise")


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
    network: StyleVariant,
) -> None:
    """Write a style's folder, whole or not at all."""
    low, high = network.variant.value_range
    batches = [low + (high - low) * _batch(pixels) for pixels in looked_at]
    make = _from_module if network.onnx is None else _from_graph
    if network.name == OPTIMIZED:
        make = _grams
    file, fingerprint, data = make(network, batches, shares, options.strength)
    card = _card(name, pictures, FileWeights(file, fingerprint), options, network)
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".making-") as made:
            part = Path(made) / folder.name
            part.mkdir()
            (part / file).write_bytes(data)
            (part / _CARD).write_bytes(msgspec.json.format(msgspec.json.encode(card)))
            if folder.exists():  # left without its card
                shutil.rmtree(folder)
            part.rename(folder)
    except OSError as error:
        if not (folder / _CARD).is_file():  # another process was not first either
            raise StyleError(f"cannot keep the style of {name} in {folder}: {error.strerror}; set HF_HOME") from error


def _from_module(
    network: StyleVariant, batches: Sequence[Floats], shares: Sequence[float], strength: float
) -> tuple[str, str, bytes]:
    """A file of weights that hold a style: its name, fingerprint and bytes."""
    import safetensors.torch
    import torch

    from toonify.checkpoints.tensors import fingerprint
    from toonify.transfer.load import load_network

    generator = load_network(network, strength)
    generator.take_styles([torch.from_numpy(batch) for batch in batches], shares)
    state = generator.state_dict()
    return "style.safetensors", fingerprint(state), safetensors.torch.save(state)


def _from_graph(
    network: StyleVariant, batches: Sequence[Floats], shares: Sequence[float], strength: float
) -> tuple[str, str, bytes]:
    """The same of a network that is an ONNX file, without PyTorch."""
    from toonify.graphs.format import read_model
    from toonify.transfer.graph import take_styles

    assert network.onnx is not None  # noqa: S101 - the caller has looked
    model = read_model(network.onnx)
    take_styles(model, batches, shares, strength)
    del model.metadata_props[:]  # its card, which is that of the network
    data = model.SerializeToString()
    return "style.onnx", f"sha256:{hashlib.sha256(data).hexdigest()}", data


def _grams(
    network: StyleVariant, batches: Sequence[Floats], shares: Sequence[float], strength: float
) -> tuple[str, str, bytes]:
    """The same of what draws by optimization: Gram matrices."""
    import safetensors.torch
    import torch

    from toonify.checkpoints.tensors import fingerprint
    from toonify.transfer.grams import grams_of
    from toonify.transfer.vgg import published_features

    state = grams_of([torch.from_numpy(batch) for batch in batches], shares, published_features())
    return "style.safetensors", fingerprint(state), safetensors.torch.save(state)


def _batch(pixels: np.ndarray) -> Floats:
    return np.ascontiguousarray(to_floats(pixels).transpose(2, 0, 1)[None])


def _card(
    name: str, pictures: Sequence[Path], weights: FileWeights, options: PictureOptions, network: StyleVariant
) -> Card:
    """The card of a style of pictures: the network's own, but for the weights, which hold the style."""
    own = network.variant
    config = own.config if options.strength == 1 else {**own.config, "strength": options.strength}
    if network.name == OPTIMIZED:  # all that it takes, so that pictures stay known when a default changes
        config = {each: getattr(options, each) for each in ("steps", "start", "seed", "strength")}
    note = "of the network; the picture has its own"
    return msgspec.structs.replace(
        network.card,
        id=name,
        title=f"In the style of {' and '.join(path.name for path in pictures)}",
        license_note=f"{network.card.license_note} {note}".strip(),
        variants={network.name: msgspec.structs.replace(own, weights=weights, config=config, input="photo")},
    )
