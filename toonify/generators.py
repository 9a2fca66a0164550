"""From a style to a running generator: fetch, verify, convert to ONNX once, open."""

import contextlib
import hashlib
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from filelock import FileLock

from toonify import hub
from toonify.arrays import Floats, Pixels, psnr
from toonify.engines.runtime import (
    Backend,
    Device,
    Generator,
    OnnxGenerator,
    TorchGenerator,
    choose_device,
    leave_cuda_aside,
)
from toonify.errors import DeviceError, StyleError, TilingError, WeightsError
from toonify.network import to_batch
from toonify.onnx_format import EXPORTER, OPSET
from toonify.published import file_digest
from toonify.styles import FileWeights, HubWeights, LocatedStyle, Variant, shipped_folder

if TYPE_CHECKING:
    from torch import nn

_Made = TypeVar("_Made")


def open_generator(
    style: LocatedStyle, variant: str, *, backend: Backend = "onnx", device: Device = "auto", quiet: bool = False
) -> Generator:
    """The generator of a variant, ready to draw.

    Raises StyleError (and DownloadError) if its weights cannot be had, DeviceError if it cannot run as asked.
    """
    chosen = choose_device(device, backend)
    if backend == "torch":
        return TorchGenerator(load_module(style, variant, quiet=quiet), chosen)
    made_for = "cpu" if (backend, chosen) == ("onnx", "cpu") else "cuda"  # other engines take the plain network
    try:
        return from_onnx_file(style, variant, made_for, lambda path: _open(path, chosen, backend), quiet=quiet)
    except DeviceError as error:
        if backend != "onnx":
            raise
        leave_cuda_aside(error, device)
        return open_generator(style, variant, backend=backend, device="cpu", quiet=quiet)


def _open(path: Path, device: str, backend: Backend) -> Generator:
    if backend == "openvino":
        from toonify.engines.openvino import OpenVinoGenerator

        return OpenVinoGenerator(path)
    return OnnxGenerator(path, device)


def load_module(style: LocatedStyle, variant: str, *, quiet: bool = False) -> "nn.Module":
    """The generator as a PyTorch module on the CPU, fetched if need be and verified against its card."""
    from toonify.checkpoint import load_generator

    name, chosen = style.variant(variant)
    weights = chosen.weights
    if isinstance(weights, FileWeights):
        if not weights.is_onnx:
            return load_generator(_beside_card(style, weights), chosen)
        network = _own_onnx(style, weights)
        try:
            return load_generator(network, chosen)
        except StyleError as error:
            what = f"{style.card.id} ({name}) is an ONNX network that PyTorch cannot run without a checkpoint"
            raise DeviceError(f"{what}: {error}") from error
    path = hub.fetch(weights, quiet=quiet)
    try:
        return load_generator(path, chosen)
    except WeightsError as error:
        hub.forget(path)
        raise WeightsError(f"{error}; it was taken out of the cache, so try again to fetch it anew") from error


def onnx_file(style: LocatedStyle, variant: str, device: str, *, quiet: bool = False) -> Path:
    """The ONNX network of a variant: its own file, or what was converted for `device` from its checkpoint, once."""
    name, chosen = style.variant(variant)
    if isinstance(chosen.weights, FileWeights) and chosen.weights.is_onnx:
        return _own_onnx(style, chosen.weights)
    path = cached_onnx(style, variant, device)
    if not path.exists():
        with _one_at_a_time(path):
            if not path.exists():  # another process was first
                _convert(style, name, device, path, quiet=quiet)
    return path


def from_onnx_file(
    style: LocatedStyle, variant: str, device: str, use: Callable[[Path], _Made], *, quiet: bool = False
) -> _Made:
    """What `use` makes of the same file. It raises StyleError if it cannot read it, but TilingError if it can.

    What had been made here and the disk spoilt is made anew, once.
    """
    path = onnx_file(style, variant, device, quiet=quiet)
    try:
        return use(path)
    except TilingError:
        raise
    except StyleError:
        if path != cached_onnx(style, variant, device):
            raise
    path.unlink(missing_ok=True)
    return use(onnx_file(style, variant, device, quiet=quiet))


def _convert(style: LocatedStyle, name: str, device: str, path: Path, *, quiet: bool) -> None:
    from toonify.export import export_onnx

    chosen = style.card.variants[name]
    module = load_module(style, name, quiet=quiet)
    if not quiet:
        print(f"preparing {style.card.id} ({name}) for this machine, once: about 20 s", file=sys.stderr)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        export_onnx(module, style.card, name, path, photo=check_photo(chosen), for_cpu=device == "cpu")
    except FileExistsError:
        pass  # another process was first, where there are no locks
    except OSError as error:
        raise StyleError(f"cannot keep the converted network {path}: {error.strerror}; set HF_HOME") from error


@contextlib.contextmanager
def _one_at_a_time(path: Path) -> Iterator[None]:
    """Let one process make `path` while others wait: each would take all cores and a gigabyte.

    Where the file system has no locks they all make it, and the first one's stays.
    """
    lock = FileLock(path.with_suffix(".lock"))
    with contextlib.suppress(OSError, NotImplementedError):
        path.parent.mkdir(parents=True, exist_ok=True)
        lock.acquire()
    try:
        yield
    finally:
        lock.release()


def cached_onnx(style: LocatedStyle, variant: str, device: str) -> Path:
    """Where the ONNX network converted for `device` from a variant's checkpoint is, or will be."""
    name, chosen = style.variant(variant)
    what = f"{weights_digest(style, name)} {chosen.architecture} {sorted(chosen.config.items())} {EXPORTER} {OPSET}"
    key = hashlib.sha256(what.encode()).hexdigest()[:16]
    return hub.cache_folder() / "onnx" / f"{style.card.id}-{name}-{device}-{key}.onnx"


def weights_digest(style: LocatedStyle, variant: str) -> str:
    """What tells a variant's weights from all others: the fingerprint that its card pins, or a digest of its file."""
    _, chosen = style.variant(variant)
    if chosen.weights.fingerprint is not None:
        return chosen.weights.fingerprint
    return _file_digest(_beside_card(style, chosen.weights))


def is_cached(style: LocatedStyle, variant: str) -> bool:
    """Whether the variant can be drawn with, without a network."""
    _, chosen = style.variant(variant)
    if isinstance(chosen.weights, HubWeights):
        return hub.cached(chosen.weights) is not None or bool(_converted(style, variant))
    return (style.folder / chosen.weights.file).is_file()


def variants_to_try(style: LocatedStyle, name: str = "auto") -> list[str]:
    """The variants of a style that `--variant name` means, in the order in which they are tried; at least one.

    "auto" is the card's preferred one, the first, unless it would have to be fetched and there is no hub. After it, or
    in its place, comes the first of the others that is on this machine, if there is one. Raises UsageError if the style
    has no such variant.
    """
    if name != "auto":
        return [style.variant(name)[0]]
    preferred, *others = style.card.variants
    here = next((other for other in others if is_cached(style, other)), None)
    if here is None:
        return [preferred]
    to_fetch = isinstance(style.card.variants[preferred].weights, HubWeights) and not is_cached(style, preferred)
    return [here] if to_fetch and not hub.can_fetch() else [preferred, here]


def verify_weights(style: LocatedStyle, variant: str) -> str:
    """Check what is on this machine of a variant against its card, and say what was found good.

    Raises WeightsError if a checkpoint is not what the card pins, StyleError if a network cannot be opened or does not
    draw what its checkpoint draws. Nothing is fetched and nothing deleted.
    """
    from toonify.checkpoint import load_generator
    from toonify.export import MIN_PSNR

    name, chosen = style.variant(variant)
    weights = chosen.weights
    photo = check_photo(chosen)
    if isinstance(weights, FileWeights) and weights.is_onnx:
        OnnxGenerator(_own_onnx(style, weights), "cpu")(photo)
        return "the network opens and draws"
    networks = _converted(style, name)
    drawings = {path: OnnxGenerator(path, "cpu")(photo) for path in networks}
    checkpoint = hub.cached(weights) if isinstance(weights, HubWeights) else _beside_card(style, weights)
    if checkpoint is None:
        return "the converted network opens and draws; its checkpoint is not here to compare with"
    expected = TorchGenerator(load_generator(checkpoint, chosen), "cpu")(photo)
    low, high = chosen.value_range
    for path, drawing in drawings.items():
        agreement = psnr(drawing, expected, peak=high - low)
        if agreement < MIN_PSNR[False]:
            raise StyleError(f"{path} agrees with its checkpoint to {agreement:.0f} dB only; delete it")
    return "the checkpoint is the one that the card pins" + (
        ", the converted network agrees with it" if networks else ""
    )


def _converted(style: LocatedStyle, variant: str) -> list[Path]:
    return [path for device in ("cpu", "cuda") if (path := cached_onnx(style, variant, device)).exists()]


def check_photo(variant: Variant) -> Floats:
    """The photo that exported networks are checked on, as the variant takes it: 1 x 3 x H x W float32."""
    return to_batch(check_pixels(variant), variant)


def check_pixels(variant: Variant) -> Pixels:
    """The same as pixels: H x W x 3 RGB, of sides that the variant takes."""
    from toonify.images import read_photo

    with (shipped_folder() / "check-photo.jpg").open("rb") as file:
        pixels = read_photo(file).pixels
    height, width = (side // variant.multiple * variant.multiple for side in pixels.shape[:2])
    return pixels[:height, :width]


def _own_onnx(style: LocatedStyle, weights: FileWeights) -> Path:
    path = _beside_card(style, weights)
    if weights.fingerprint is not None and weights.fingerprint != _file_digest(path):
        raise WeightsError(f"{path} is not the file that the card of {style.card.id} pins")
    return path


def _file_digest(path: Path) -> str:
    return f"sha256:{file_digest(path)}"


def _beside_card(style: LocatedStyle, weights: FileWeights | HubWeights) -> Path:
    path = style.folder / weights.file
    if not path.is_file():
        raise StyleError(f"{path} is missing, which the card of {style.card.id} names")
    return path
