"""A style's network in 8-bit integers as an ONNX file, checked against float32 before anyone sees it."""

import logging
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec

from toonify.engines.onnx_runtime import OnnxGenerator
from toonify.errors import ExportError, ImageError, UsageError, display
from toonify.graphs.format import CARD_KEY, CHECK_KEY, read_model
from toonify.graphs.quantize import GROUP, quantize
from toonify.images import opaque, read_photo
from toonify.jobs.find import Found
from toonify.jobs.outcome import open_source
from toonify.networks.check_photo import check_photo, drawing_as_text
from toonify.networks.open import MIN_PSNR_INT8
from toonify.pixels.arrays import Floats, psnr
from toonify.pixels.resize import fit_long_side, resize
from toonify.styles.card import Int8, StyleVariant, Variant, embedded_card
from toonify.styles.frame import framed, from_batch, to_batch
from toonify.system.files import file_digest, write_atomically

PHOTOS = 128  # that ranges are measured on, spread over those that are given
MIN_PHOTOS = 4 * GROUP
_SIDE = 320  # pixels, of the middle of each photo: so that all have one size

_log = logging.getLogger(__name__)


def export_int8(
    style: StyleVariant, target: Path, photos: Sequence[Found], *, plain: Path | None = None, overwrite: bool = False
) -> Int8:
    """Write a style's network in 8-bit integers as an ONNX file with its card inside; what the card may say of it.

    `plain` is the network in float32 as an ONNX file, where there is one already beside what the card names.

    The ranges of its activations are measured on `photos` at the style's working size. The file carries the float32
    network's drawing of the check photo, by which whoever runs it can see that it is right there. A photo that cannot
    be read is named in the log. Raises UsageError for too few photos, StyleError, DownloadError, ExportError if the
    network bears no integers (45 dB), FileExistsError if `target` exists and `overwrite` is false.
    """
    if style.onnx is not None and style.onnx == style.int8:
        raise UsageError(f"{style.label} is in 8-bit integers already; name the style that it was made from")
    with tempfile.TemporaryDirectory() as folder:
        plain = plain or style.onnx or _exported(style, Path(folder, "plain.onnx"))
        photo = check_photo(style.variant)
        expected = OnnxGenerator(plain, "cpu")(photo)
        middles = list(_middles(style.variant, photos))
        if len(middles) < MIN_PHOTOS:
            raise UsageError(f"--photos: {len(middles)} can be read; give {MIN_PHOTOS} or more ({PHOTOS} are enough)")
        network = quantize(read_model(plain), middles)
        made = Path(folder, "int8.onnx")
        made.write_bytes(network.SerializeToString())
        drawn = OnnxGenerator(made, "cpu")(photo)
    low, high = style.variant.value_range
    agreement = psnr(drawn, expected, peak=high - low)
    if not agreement >= MIN_PSNR_INT8:
        raise ExportError(
            f"in 8-bit integers {style.label} agrees with float32 to {agreement:.1f} dB only, not {MIN_PSNR_INT8:g}; "
            f"{display(target)} was not written"
        )
    about = Int8(target.name, photos=len(middles), psnr=round(agreement, 2))
    card = msgspec.json.encode(embedded_card(style, display(target.name), about)).decode()
    del network.metadata_props[:]
    for key, value in ((CARD_KEY, card), (CHECK_KEY, drawing_as_text(from_batch(expected, style.variant)))):
        network.metadata_props.add(key=key, value=value)
    write_atomically(target, network.SerializeToString(), overwrite=overwrite)
    return msgspec.structs.replace(about, fingerprint=f"sha256:{file_digest(target)}")


def _exported(style: StyleVariant, path: Path) -> Path:
    from toonify.networks.export import export_onnx
    from toonify.networks.load import load_module

    export_onnx(load_module(style), style, path, photo=check_photo(style.variant))
    return path


def _middles(variant: Variant, photos: Sequence[Found]) -> Iterator[Floats]:
    """The middle of each photo as the network takes it, all of one size; a small photo is reflected outwards."""
    side = _SIDE + -_SIDE % variant.multiple
    taken = min(PHOTOS, len(photos))
    for found in (photos[number * len(photos) // taken] for number in range(taken)):
        try:
            with open_source(found.path) as file:
                pixels = opaque(read_photo(file))
        except ImageError as error:
            _log.warning("%s skipped: %s", display(found.path), error)
            continue
        if variant.size is not None and max(pixels.shape[:2]) > variant.size:
            height, width = pixels.shape[:2]
            pixels = resize(pixels, fit_long_side(height, width, variant.size))
        top, left = (max(0, (length - side) // 2) for length in pixels.shape[:2])
        middle = pixels[top : top + side, left : left + side]
        yield to_batch(framed(middle, multiple=variant.multiple, minimum=side, padding=0), variant)
