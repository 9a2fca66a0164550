"""`toonify export`: a style or a run to an ONNX file that runs anywhere."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from toonify.cli.options import OUTPUT


def export(
    style: Annotated[str, typer.Argument(metavar="NAME|PATH", help="A style, as for convert --style.")],
    target: Annotated[Path, typer.Argument(metavar="OUT.onnx", help="The file to write.")],
    variant: Annotated[
        str,
        typer.Option(
            "--variant",
            help="Variant of the style; auto: its first.",
            rich_help_panel="Network",
        ),
    ] = "auto",
    fp16: Annotated[
        bool,
        typer.Option(
            "--fp16", help="Weights and arithmetic in float16: half the size, fast on GPUs.", rich_help_panel="Network"
        ),
    ] = False,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace OUT.onnx if it is there.", rich_help_panel=OUTPUT)
    ] = False,
) -> None:
    """Write a generator as ONNX, with what describes the style inside, checked against PyTorch on a photo first.

    Batch, height and width are free (height and width in steps of the style's multiple).
    """
    from toonify.errors import ExportError, UsageError, describe, display
    from toonify.networks.check_photo import check_photo
    from toonify.networks.load import load_module
    from toonify.styles.find import find_style

    if target.suffix != ".onnx":
        raise UsageError(f"{display(target)}: give a name that ends in .onnx")
    if target.exists() and not overwrite:
        raise UsageError(f"{display(target)} is there already; give another name, or --overwrite")
    if not target.parent.is_dir():
        raise UsageError(f"there is no folder {display(target.parent)}; make it first")
    chosen = find_style(style).variant(variant)
    module = load_module(chosen)
    from toonify.networks.export import export_onnx

    try:
        agreement = export_onnx(
            module, chosen, target, photo=check_photo(chosen.variant), fp16=fp16, overwrite=overwrite
        )
    except OSError as error:
        raise ExportError(f"{display(target)} cannot be written: {describe(error)}") from error
    print(f"{target}: {target.stat().st_size / 1e6:.1f} MB, agrees with PyTorch to {agreement:.0f} dB", file=sys.stderr)
