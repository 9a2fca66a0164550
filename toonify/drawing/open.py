"""The engines that draw a style's photos quickest here, at once and in tiles, and whether they draw them right."""

import functools
import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from toonify.drawing import run
from toonify.engines.choose import choose_device, leave_cuda_aside
from toonify.engines.cuda_generator import CudaGenerator
from toonify.engines.engine import Backend, Device, Generator, Precision
from toonify.engines.onnx_runtime import OnnxGenerator
from toonify.errors import DeviceError, one_line
from toonify.graphs.format import read_model
from toonify.networks.check_photo import check_pixels
from toonify.networks.open import open_generator, open_on
from toonify.networks.ready import from_onnx_file, onnx_file
from toonify.pixels.arrays import Floats, Halves, Pixels, psnr
from toonify.styles.card import StyleVariant, Variant

if TYPE_CHECKING:
    from toonify.drawing.tiles import TiledNetwork

_log = logging.getLogger(__name__)

DRAWERS_ON_CUDA = 2  # threads: a GPU is idle while a picture travels, and one more is to be there then
MIN_PSNR_ON_CUDA = 50.0  # dB, of a drawing there against the CPU's in float32: less than a gray level of difference
_CHECK_TILE = 96  # pixels: the check photo of 288 x 192 in six tiles


def open_for_drawing(
    style: StyleVariant,
    *,
    backend: Backend = "onnx",
    device: Device = "auto",
    precision: Precision = "auto",
) -> Generator | CudaGenerator:
    """The generator of a variant, as it draws photos quickest: `open_generator`, or on CUDA one that takes pixels.

    `precision` is of that one: "auto" takes float16 if that draws the check photo as the CPU does, to 50 dB, else
    float32. CPUs draw in float32 here; `open_int8` is for integers. Raises what `open_generator` does, and DeviceError
    if "fp16" cannot be had.
    """
    chosen = choose_device(device, backend)
    if backend == "onnx" and chosen == "cuda":
        try:
            return from_onnx_file(style, "cuda", lambda path: _open_on_cuda(style, path, precision))
        except DeviceError as error:
            if precision == "fp16":
                raise
            leave_cuda_aside(error, device)
            chosen = "cpu"
    if precision == "fp16":
        raise DeviceError("--precision fp16 is for ONNX Runtime on CUDA, which does not run here; drop it")
    return open_on(chosen, style, backend=backend)


def _open_on_cuda(style: StyleVariant, path: Path, precision: Precision) -> CudaGenerator:
    """In float16 if that can be and is not ruled out, else in float32.

    Whatever it is, it has drawn the check photo as the CPU does: drivers, kernels and cards are more than tests reach.
    """
    from toonify.graphs.pixel_graph import take_pixels

    model = read_model(path)
    variant = style.variant
    drawn_by_cpu = functools.cache(lambda: _drawn_by_cpu(path, variant))
    why = "it cannot be turned into float16"
    for arithmetic in ["float16"] * (precision != "fp32") + ["float32"] * (precision != "fp16"):
        try:
            taking = take_pixels(
                model, channels=variant.channels, value_range=variant.value_range, halves=arithmetic == "float16"
            )
            opened = CudaGenerator(taking.SerializeToString(), arithmetic)
            agreement = _least_agreement(opened.draw, check_pixels(variant), drawn_by_cpu())
        except Exception as error:  # whatever it is, of the conversion, the device or the network in this arithmetic
            why = f"in {arithmetic}: {one_line(error)[:200]}"
            continue
        if agreement >= MIN_PSNR_ON_CUDA:
            return opened
        why = f"in {arithmetic} it draws the check photo {agreement:.0f} dB from the CPU's drawing"
    what = "--precision fp16" if precision == "fp16" else "CUDA"
    raise DeviceError(f"{what} does not suit {style.label}: {why}; drop it, or type --device cpu")


def open_exact(style: StyleVariant, *, device: Device = "auto") -> Generator:
    """The generator of a variant on ONNX Runtime in float32, which on CUDA has drawn the check photo as the CPU does.

    Raises what `open_generator` does.
    """
    opened = open_generator(style, device=device)
    if opened.device == "cpu":
        return opened
    variant = style.variant
    path = onnx_file(style, "cuda")
    drawing = run.draw(check_pixels(variant), opened, variant, padding=0)
    agreement = psnr(drawing, _drawn_by_cpu(path, variant), peak=1)
    if agreement >= MIN_PSNR_ON_CUDA:
        return opened
    why = f"it draws the check photo of {style.label} {agreement:.0f} dB from the CPU's drawing"
    if device != "auto":
        raise DeviceError(f"CUDA: {why}; type --device cpu")
    _log.warning("CUDA is not used: %s", why)
    return open_generator(style, device="cpu")


def open_tiled(style: StyleVariant, *, device: Device = "auto") -> "TiledNetwork":
    """The network of a variant, for pictures that are drawn in tiles.

    It is cut out of the plain network, which is what GPUs run, and each piece is made ready for its device; on CUDA it
    has drawn the check photo as the CPU does. Raises StyleError (and DownloadError) if it cannot be had, TilingError if
    it cannot be cut, DeviceError.
    """
    from toonify.drawing.tiles import TiledNetwork

    def open_file(path: Path) -> TiledNetwork:
        if choose_device(device, "onnx") == "cuda":
            try:
                return _open_tiled_on_cuda(style, path)
            except DeviceError as error:
                leave_cuda_aside(error, device, what=" for tiles")
        return TiledNetwork(path, "cpu")

    return from_onnx_file(style, "cuda", open_file)


def _open_tiled_on_cuda(style: StyleVariant, path: Path) -> "TiledNetwork":
    from toonify.drawing.tiles import TiledNetwork

    opened = TiledNetwork(path, "cuda")
    variant = style.variant
    side = _CHECK_TILE + -_CHECK_TILE % opened.multiple
    try:
        drawing = run.draw_in_tiles(check_pixels(variant), opened, variant, padding=0, tile=side)
        agreement = psnr(drawing, _drawn_by_cpu(path, variant), peak=1)
    except Exception as error:
        why = f"in tiles: {one_line(error)[:200]}"
    else:
        if agreement >= MIN_PSNR_ON_CUDA:
            return opened
        why = f"in tiles it draws the check photo {agreement:.0f} dB from the CPU's drawing"
    raise DeviceError(f"CUDA does not suit {style.label}: {why}; type --device cpu")


def _drawn_by_cpu(path: Path, variant: Variant) -> Floats | Halves:
    """The check photo as the plain network draws it at once in float32."""
    return run.draw(check_pixels(variant), OnnxGenerator(path, "cpu"), variant, padding=0)


def _least_agreement(draw: Callable[[Pixels], Halves], pixels: Pixels, expected: Floats | Halves) -> float:
    """The lowest agreement of several drawings with the expected one, in dB PSNR.

    They are made as `convert` makes them, in several threads that do not wait for each other, with a black picture
    drawn in between, so that a buffer that is read too early, or still holds an earlier drawing, shows up as a
    difference.
    """

    def compare(_: int) -> list[float]:
        first = draw(pixels)
        draw(np.zeros_like(pixels))
        return [psnr(drawing, expected, peak=1) for drawing in (first, draw(pixels))]

    with ThreadPoolExecutor(DRAWERS_ON_CUDA) as threads:
        return float(np.min(list(threads.map(compare, range(DRAWERS_ON_CUDA)))))
