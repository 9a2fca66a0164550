"""Options that several commands share."""

from enum import StrEnum
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


VariantOption = Annotated[
    str, typer.Option("--variant", help="Variant of the style: auto takes the one that its card puts first.")
]
QuietOption = Annotated[bool, typer.Option("--quiet", "-q", help="Print nothing but errors.")]
