"""Options that several commands share."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer


class DeviceName(StrEnum):
    """Where a network runs."""

    auto = "auto"
    cpu = "cpu"
    cuda = "cuda"


class BackendName(StrEnum):
    """What a network runs in."""

    onnx = "onnx"
    torch = "torch"
    openvino = "openvino"
    coreml = "coreml"
    directml = "directml"
    tensorrt = "tensorrt"


class PrecisionName(StrEnum):
    """What a network calculates in."""

    auto = "auto"
    fp32 = "fp32"
    fp16 = "fp16"


class ModeName(StrEnum):
    """How pictures are brought to Inception's size."""

    legacy = "legacy"
    pytorch = "pytorch"
    clean = "clean"


VariantOption = Annotated[
    str,
    typer.Option(
        "--variant",
        help="Variant of the style, such as lite or original. auto: the card's first, if it is here or can be fetched.",
    ),
]
DeviceOption = Annotated[DeviceName, typer.Option(help="auto takes CUDA where it can run.")]
QuietOption = Annotated[bool, typer.Option("--quiet", "-q", help="Print nothing but errors.")]
WorkersOption = Annotated[
    int | None, typer.Option(min=1, max=256, help="Files worked on at once. Default: one for each core.")
]
MaxMegapixelsOption = Annotated[float, typer.Option(min=0.001, max=1_000_000, help="Refuse larger photos, unread.")]
ModeOption = Annotated[
    ModeName, typer.Option(help="Protocol: as torch-fidelity (legacy), pytorch-fid (pytorch) or clean-fid (clean).")
]
WeightsOption = Annotated[
    Path | None,
    typer.Option(metavar="FILE", help="FID's Inception network. Default: the published file, fetched once."),
]
CacheOption = Annotated[bool, typer.Option("--cache/--no-cache", help="Remember what was measured, by content.")]
