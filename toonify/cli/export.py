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
    int8: Annotated[
        bool,
        typer.Option(
            "--int8",
            help="Deep layers in 8-bit integers: twice as fast on CPUs with dot products of bytes.",
            rich_help_panel="Network",
        ),
    ] = False,
    photos: Annotated[
        Path | None,
        typer.Option(
            "--photos",
            metavar="DIR",
            help="Photos like those to be drawn, which --int8 needs to measure ranges.",
            rich_help_panel="Network",
        ),
    ] = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace OUT.onnx if it is there.", rich_help_panel=OUTPUT)
    ] = False,
) -> None:
    """Write a generator as ONNX, with its style described inside, checked on a photo against PyTorch (int8: float32).

    Batch, height and width are free (height and width in steps of the style's multiple). A generator from noise takes
    latents, and with styles noise and a truncation.
    """
    from toonify.errors import ExportError, UsageError, describe, display
    from toonify.networks.check_photo import check_photo
    from toonify.networks.load import load_module
    from toonify.styles.find import find_any

    if target.suffix != ".onnx":
        raise UsageError(f"{display(target)}: give a name that ends in .onnx")
    if target.exists() and not overwrite:
        raise UsageError(f"{display(target)} is there already; give another name, or --overwrite")
    if not target.parent.is_dir():
        raise UsageError(f"there is no folder {display(target.parent)}; make it first")
    if int8 and fp16:
        raise UsageError("--int8 and --fp16 are two files; drop one of them")
    if int8 and photos is None:
        raise UsageError("--int8 needs --photos DIR: some dozens of photos, on which ranges are measured")
    if photos is not None and not int8:
        raise UsageError("--photos is for --int8; drop it")
    chosen = find_any(style).variant(variant)
    if chosen.variant.input != "photo" and (fp16 or int8):
        raise UsageError(f"{'--fp16' if fp16 else '--int8'} is for networks that draw photos; drop it")
    try:
        if chosen.variant.input == "noise":
            from toonify.generate.export import export_generator

            told = f"agrees with PyTorch to {export_generator(chosen, target, overwrite=overwrite):.0f} dB"
        elif photos is not None:
            from toonify.jobs.find import find_photos
            from toonify.networks.quantize import export_int8

            about = export_int8(chosen, target, find_photos([photos], drawings=True), overwrite=overwrite)
            told = f"agrees with float32 to {about.psnr:.1f} dB, ranges of {about.photos} photos"
        else:
            module = load_module(chosen)
            from toonify.networks.export import export_onnx

            photo = check_photo(chosen.variant)
            agreement = export_onnx(module, chosen, target, photo=photo, fp16=fp16, overwrite=overwrite)
            told = f"agrees with PyTorch to {agreement:.0f} dB"
    except OSError as error:
        raise ExportError(f"{display(target)} cannot be written: {describe(error)}") from error
    print(f"{target}: {target.stat().st_size / 1e6:.1f} MB, {told}", file=sys.stderr)
