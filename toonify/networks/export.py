"""A generator to an ONNX file, checked against PyTorch before anyone sees it."""

import contextlib
import io
import logging
import tempfile
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import torch
from onnx import ModelProto
from torch import Tensor, nn

from toonify.engines.onnx_runtime import OnnxGenerator
from toonify.errors import ExportError, display, one_line
from toonify.graphs.format import CARD_KEY, OPSET, to_halves
from toonify.pixels.arrays import Floats, psnr
from toonify.styles.card import StyleVariant, embedded_card
from toonify.system.files import write_atomically
from toonify.system.waiting import waiting

_log = logging.getLogger(__name__)

MIN_PSNR = {False: 80.0, True: 40.0}  # of the exported network against PyTorch, in dB, by fp16


def export_onnx(
    generator: nn.Module,
    style: StyleVariant,
    target: Path,
    *,
    photo: Floats,
    fp16: bool = False,
    for_cpu: bool = False,
    overwrite: bool = False,
) -> float:
    """Write `generator` as an ONNX network with dynamic batch, height and width and the card in its metadata.

    `photo` is a 1 x 3 x H x W float32 input as the network takes it, on which the result must agree with PyTorch.
    Instance norms stay native, which runs faster than their parts. With `fp16` weights and arithmetic are float16
    and input and output stay float32. With `for_cpu` the graph is rewritten to run faster on CPUs (`speedup`), and
    slower elsewhere. Returns the agreement: PSNR in dB over the network's value range.

    Raises ExportError if the network cannot be exported or does not agree (80 dB, 40 dB with fp16), FileExistsError
    if `target` exists and `overwrite` is false.
    """
    text = msgspec.json.encode(embedded_card(style, display(target.name))).decode()
    data = _to_onnx(generator, style.variant.multiple, {CARD_KEY: text}, fp16=fp16, for_cpu=for_cpu)
    with waiting(_log, "comparing its drawing with PyTorch's"):
        with tempfile.TemporaryDirectory() as folder:
            part = Path(folder, "network.onnx")  # ONNX Runtime opens no file whose name is not UTF-8
            part.write_bytes(data)
            drawn = OnnxGenerator(part, "cpu")(photo)
        with torch.inference_mode():
            expected = generator(torch.from_numpy(photo)).numpy()
    low, high = style.variant.value_range
    agreement = psnr(drawn, expected, peak=high - low)
    if not agreement >= MIN_PSNR[fp16]:
        raise ExportError(
            f"the exported network agrees with PyTorch to {agreement:.1f} dB only, not {MIN_PSNR[fp16]:g}; "
            f"{target} was not written"
        )
    write_atomically(target, data, overwrite=overwrite)
    return agreement


def _to_onnx(generator: nn.Module, multiple: int, metadata: dict[str, str], *, fp16: bool, for_cpu: bool) -> bytes:
    from torch.export import Dim

    # Any number of multiples that is not 1, so that the exporter takes no size for a constant, nor two for one.
    steps = max(3, 64 // multiple)
    example = torch.zeros(2, 3, steps * multiple, (steps + 1) * multiple)
    batch, height, width = Dim("batch", max=1024), Dim("height", max=65_536), Dim("width", max=65_536)
    shape = {0: batch, 2: multiple * height, 3: multiple * width}
    with waiting(_log, "exporting it from PyTorch"):
        model = to_onnx(generator, {"photo": example}, {"photo": shape}, output="drawing")
    if fp16:
        model = to_halves(model, keep_io_types=True)
    if for_cpu:
        from toonify.graphs.speedup import speed_up

        with waiting(_log, "rewriting it for speed"):
            model = speed_up(model)
    for node in model.graph.node:
        del node.metadata_props[:]  # where PyTorch leaves the paths of source files on this machine
    for key, value in metadata.items():
        model.metadata_props.add(key=key, value=value)
    data: bytes = model.SerializeToString()
    return data


def to_onnx(
    network: nn.Module, examples: dict[str, Tensor], shapes: dict[str, dict[int, Any]], *, output: str
) -> ModelProto:
    """A network as ONNX; `examples` are its inputs in order, by name, `shapes` their free dimensions.

    Raises ExportError if PyTorch cannot export it.
    """
    try:
        with _silence():
            program = torch.onnx.export(
                network,
                tuple(examples.values()),
                dynamo=True,
                dynamic_shapes=tuple(shapes.values()),
                input_names=list(examples),
                output_names=[output],
                opset_version=OPSET,
                verbose=False,
            )
    except Exception as error:  # the exporter wraps whatever went wrong in classes of its own
        raise ExportError(f"PyTorch cannot export the network: {one_line(error)[:200]}") from error
    assert program is not None  # noqa: S101 - dynamo=True returns a program
    return program.model_proto


@contextlib.contextmanager
def _silence() -> Iterator[None]:
    """Keep the exporter's running commentary off the user's terminal."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)
