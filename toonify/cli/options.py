"""Options that several commands share."""

from pathlib import Path
from typing import Annotated

import typer

from toonify.cli.log import hush
from toonify.engines.engine import Device
from toonify.metrics.mode import Mode

VariantOption = Annotated[
    str,
    typer.Option(
        "--variant",
        help="Variant of the style, such as lite or original. auto: the card's first, if it is here or can be fetched.",
    ),
]
DeviceOption = Annotated[Device, typer.Option(help="auto takes CUDA where it can run.")]
QuietOption = Annotated[bool, typer.Option("--quiet", "-q", help="Print nothing but errors.", callback=hush)]
WorkersOption = Annotated[
    int | None, typer.Option(min=1, max=256, help="Files worked on at once. Default: one for each core.")
]
MaxMegapixelsOption = Annotated[float, typer.Option(min=0.001, max=1_000_000, help="Refuse larger photos, unread.")]
ModeOption = Annotated[
    Mode, typer.Option(help="Protocol: as torch-fidelity (legacy), pytorch-fid (pytorch) or clean-fid (clean).")
]
WeightsOption = Annotated[
    Path | None,
    typer.Option(metavar="FILE", help="FID's Inception network. Default: the published file, fetched once."),
]
CacheOption = Annotated[bool, typer.Option("--cache/--no-cache", help="Remember what was measured, by content.")]
