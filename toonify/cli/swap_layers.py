"""`toonify swap-layers`: a generator of photos and one of cartoons exchange their layers."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from toonify.cli.options import OUTPUT, no_stream
from toonify.errors import display


def swap_layers(
    photo_run: Annotated[str, typer.Argument(metavar="PHOTO_RUN", help="The run whose coarse layers draw shapes.")],
    toon_run: Annotated[str, typer.Argument(metavar="TOON_RUN", help="The run whose fine layers draw colors.")],
    side: Annotated[
        int,
        typer.Option("--from", metavar="PX", help="Layers of maps from so many pixels a side on come from TOON_RUN."),
    ],
    output: Annotated[
        Path, typer.Option("--output", "-o", help="The folder to write.", callback=no_stream, rich_help_panel=OUTPUT)
    ],
) -> None:
    """Make a generator that draws the shapes of one run in the colors of another; `generate` draws with it.

    Both must have begun with the same weights: one began with the other (--start-from), or both with a third.
    """
    from toonify.generate.open import open_noise
    from toonify.generate.swap import write_swapped

    photo, toon = (open_noise(name, device="cpu") for name in (photo_run, toon_run))
    write_swapped(photo, toon, side, output)
    print(
        f"{display(output)}: {photo.style.card.id}, with layers from {side} px on of {toon.style.card.id}; "
        f"try it: toonify generate {display(output)} --grid 4x4",
        file=sys.stderr,
    )
