"""The engine that draws a style's photos quickest here, and whether it draws them right."""

import sys

from toonify import network
from toonify.arrays import psnr
from toonify.cuda_generator import CudaGenerator
from toonify.errors import DeviceError, one_line
from toonify.generators import check_pixels, onnx_file, open_generator
from toonify.onnx_format import read_model
from toonify.runtime import Backend, Device, Generator, OnnxGenerator, Precision, choose_device
from toonify.styles import LocatedStyle

MIN_PSNR_ON_CUDA = 50.0  # dB, of a drawing there against the CPU's in float32: less than a grey level of difference


def open_for_drawing(
    style: LocatedStyle,
    variant: str,
    *,
    backend: Backend = "onnx",
    device: Device = "auto",
    precision: Precision = "auto",
    quiet: bool = False,
) -> Generator | CudaGenerator:
    """The generator of a variant, as it draws photos quickest: `open_generator`, or on CUDA one that takes pixels.

    `precision` is of that one: "auto" takes float16 if that draws the check photo as the CPU does, to 50 dB, else
    float32. Raises what `open_generator` does, and DeviceError if "fp16" cannot be had.
    """
    if backend == "onnx" and choose_device(device, backend) == "cuda":
        try:
            return _open_on_cuda(style, variant, precision, quiet=quiet)
        except DeviceError as error:
            if device != "auto" or precision == "fp16":
                raise
            print(f"CUDA left aside: {error}", file=sys.stderr)
            device = "cpu"
    if precision == "fp16":
        raise DeviceError("--precision fp16 is for ONNX Runtime on CUDA, which does not run here; drop it")
    return open_generator(style, variant, backend=backend, device=device, quiet=quiet)


def _open_on_cuda(style: LocatedStyle, variant: str, precision: Precision, *, quiet: bool) -> CudaGenerator:
    """In float16 if that can be and is not ruled out, else in float32.

    Whatever it is, it has drawn the check photo as the CPU does: drivers, kernels and cards are more than tests reach.
    """
    from toonify.pixel_graph import take_pixels

    path = onnx_file(style, variant, "cuda", quiet=quiet)
    model = read_model(path)
    _, chosen = style.variant(variant)
    pixels = check_pixels(chosen)
    expected = network.draw(pixels, OnnxGenerator(path, "cpu"), chosen, padding=0)
    why = "it cannot be turned into float16"
    for arithmetic in ["float16"] * (precision != "fp32") + ["float32"] * (precision != "fp16"):
        try:
            taking = take_pixels(model, chosen, halves=arithmetic == "float16")
            opened = CudaGenerator(taking.SerializeToString(), arithmetic)
            agreement = psnr(opened.draw(pixels), expected, peak=1)
        except DeviceError:
            raise
        except Exception as error:  # neither the conversion nor onnxruntime has errors of its own
            why = f"in {arithmetic}: {one_line(error)[:200]}"
            continue
        if agreement >= MIN_PSNR_ON_CUDA:
            return opened
        why = f"in {arithmetic} it draws the check photo {agreement:.0f} dB from the CPU's drawing"
    what = "--precision fp16" if precision == "fp16" else "CUDA"
    raise DeviceError(f"{what} does not suit {style.card.id} ({variant}): {why}; drop it, or type --device cpu")
