"""`toonify generate`: pictures from noise."""

import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from toonify.cli.options import MEASURING, OUTPUT, RUNNING, DeviceOption, QuietOption, no_stream
from toonify.cli.progress import count_bar
from toonify.errors import display

if TYPE_CHECKING:
    from toonify.generate.open import Opened

_WHAT = "What is drawn"
_MOST_ROWS = 100


def generate(
    run: Annotated[str, typer.Argument(metavar="RUN", help="The folder of a run, or of swap-layers.")],
    number: Annotated[
        int | None,
        typer.Option(metavar="N", min=1, max=100_000, help="Pictures. Default: 16.", rich_help_panel=_WHAT),
    ] = None,
    seed: Annotated[
        int,
        typer.Option(metavar="S", min=0, max=2**32 - 1, help="Of the first; the others follow.", rich_help_panel=_WHAT),
    ] = 0,
    truncation: Annotated[
        float | None,
        typer.Option(
            metavar="0..2",
            help="How far styles may be from their mean: 0 is the mean picture, 1 all there is, 0.7 often looks best.",
            rich_help_panel=_WHAT,
        ),
    ] = None,
    grid: Annotated[
        str | None,
        typer.Option(metavar="COLUMNSxROWS", help="One sheet, such as 4x4, not single files.", rich_help_panel=_WHAT),
    ] = None,
    walk: Annotated[
        str | None,
        typer.Option(metavar="A,B,...", help="A walk from the picture of a seed to the next.", rich_help_panel=_WHAT),
    ] = None,
    frames: Annotated[
        int | None,
        typer.Option(metavar="N", min=2, max=100_000, help="Of the walk. Default: 60.", rich_help_panel=_WHAT),
    ] = None,
    mix: Annotated[
        str | None,
        typer.Option(
            metavar="LAYERS",
            help="Layers with the style of a seed each: coarse=1,middle=2,fine=3. Others have that of --seed.",
            rich_help_panel=_WHAT,
        ),
    ] = None,
    project: Annotated[
        Path | None,
        typer.Option(
            metavar="PHOTO",
            help="Find the styles that draw a photo, and draw with them; after swap-layers, with swapped layers.",
            rich_help_panel=_WHAT,
        ),
    ] = None,
    project_steps: Annotated[
        int | None,
        typer.Option(metavar="N", min=1, max=100_000, help="Of the search. Default: 300.", rich_help_panel=_WHAT),
    ] = None,
    lpips_weights: Annotated[
        list[Path] | None,
        typer.Option(
            metavar="FILE",
            help="LPIPS' network for --project, of one file or two. Default: the published files, fetched once.",
            rich_help_panel=MEASURING,
        ),
    ] = None,
    variant: Annotated[
        str, typer.Option(metavar="NAME", help="Such as last or best. auto: the first.", rich_help_panel=RUNNING)
    ] = "auto",
    output: Annotated[
        Path,
        typer.Option(
            "--output", "-o", help="The folder, or a video for --walk.", callback=no_stream, rich_help_panel=OUTPUT
        ),
    ] = Path("generated"),
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace pictures that are there already.", rich_help_panel=OUTPUT)
    ] = False,
    device: DeviceOption = "auto",
    quiet: QuietOption = False,
) -> None:
    """Draw pictures from noise with a generator of `train --arch stylegan`, progan or dcgan.

    Each is a PNG named by its seed, from which it is drawn the same always.
    """
    from toonify.errors import UsageError
    from toonify.generate.draw import draw_seeds
    from toonify.generate.files import free_paths, write_pictures, write_walk
    from toonify.generate.mix import mix as mixed
    from toonify.generate.mix import parse_mix
    from toonify.generate.open import check_truncation, open_noise
    from toonify.generate.seeds import MOST
    from toonify.generate.walk import parse_walk
    from toonify.generate.walk import walk as walked
    from toonify.pixels.layout import in_rows

    ways = {"--grid": grid, "--walk": walk, "--mix": mix, "--project": project}
    asked = [flag for flag, value in ways.items() if value is not None]
    if len(asked) > 1:
        raise UsageError(f"{' and '.join(asked)} draw different things; give one of them")
    for flag, value, way in (
        ("--frames", frames, "--walk"),
        ("--project-steps", project_steps, "--project"),
        ("--lpips-weights", lpips_weights, "--project"),
    ):
        if value and way not in asked:
            raise UsageError(f"{flag} is for {way}; give that, or drop it")
    if number is not None and asked:
        raise UsageError(f"--number is for pictures one by one; drop it, or {asked[0]}")
    if truncation is not None and project is not None:
        raise UsageError("--truncation would take the photo's styles away; drop it")
    columns, rows = (4, 4) if grid is None else _grid(grid)
    count = columns * rows if number is None else number
    if seed + count - 1 > MOST:
        raise UsageError(f"--seed {seed}: of {count} pictures, the last would be beyond {MOST}; give a smaller one")
    on_walk = None if walk is None else parse_walk(walk)
    seeds_of_layers = None if mix is None else parse_mix(mix)
    opened = open_noise(run, variant, device=device)
    check_truncation(opened, truncation)
    if on_walk is not None:
        length = frames or 60
        with count_bar("walk", length, quiet=quiet) as advance:
            pictures = walked(opened, on_walk, length, truncation)
            write_walk(output, pictures, length, overwrite=overwrite, on_picture=advance)
        _told(output, f"{length} frames", quiet)
    elif seeds_of_layers is not None:
        picture = mixed(opened, seeds_of_layers, seed, truncation)
        name = "-".join(["mix", *(f"{band}{seeds_of_layers[band]}" for band in seeds_of_layers)])
        (path,) = free_paths(output, [f"{name}-seed{seed}.png"], overwrite=overwrite)
        write_pictures([path], [picture], overwrite=overwrite)
        _told(path, "", quiet)
    elif project is not None:
        _project(opened, run, project, seed, project_steps, lpips_weights or [], output, overwrite, quiet)
    else:
        seeds = range(seed, seed + count)
        names = [f"seed{each}.png" for each in seeds] if grid is None else [f"seed{seed}-grid{columns}x{rows}.png"]
        paths = free_paths(output, names, overwrite=overwrite)
        with count_bar("pictures", count, quiet=quiet) as advance:
            drawn = draw_seeds(opened.network, seeds, device=opened.device, truncation=truncation)
            if grid is None:
                write_pictures(paths, drawn, overwrite=overwrite, on_picture=advance)
            else:
                write_pictures(paths, [in_rows(list(drawn), columns)], overwrite=overwrite)
        _told(output if grid is None else paths[0], f"{count} pictures", quiet)


def _grid(text: str) -> tuple[int, int]:
    from toonify.errors import UsageError

    match = re.fullmatch(r"(\d{1,3})x(\d{1,3})", text, re.ASCII)
    columns, rows = (int(match[1]), int(match[2])) if match else (0, 0)
    if not (0 < columns <= _MOST_ROWS and 0 < rows <= _MOST_ROWS):
        raise UsageError(f"--grid {display(text)}: give columns and rows, such as 4x4, each up to {_MOST_ROWS}")
    return columns, rows


def _project(
    opened: "Opened",
    run: str,
    photo: Path,
    seed: int,
    steps: int | None,
    weights: list[Path],
    output: Path,
    overwrite: bool,
    quiet: bool,
) -> None:
    import torch

    from toonify.errors import ImageError, UsageError
    from toonify.generate.draw import to_pictures
    from toonify.generate.files import free_paths, write_pictures
    from toonify.generate.open import open_variant, styles_of
    from toonify.generate.project import STEPS, project
    from toonify.generate.seeds import noise_for
    from toonify.generate.swap import PHOTO
    from toonify.images import opaque, read_photo
    from toonify.metrics.lpips import lpips_files, read_lpips
    from toonify.styles.find import find_generator

    network = styles_of(opened, "--project")
    searched, names = network, [f"{photo.stem}.png"]
    located = find_generator(run)
    if PHOTO in located.card.variants and opened.style.name != PHOTO:
        searched = styles_of(open_variant(located.variant(PHOTO), device="auto"), "--project")
        searched.to(opened.device)
        names.append(f"{photo.stem}-found.png")
    try:
        with photo.open("rb") as file:
            pixels = opaque(read_photo(file))
    except OSError as error:
        raise UsageError(f"--project {display(photo)}: {error.strerror}") from error
    except ImageError as error:
        raise UsageError(f"--project {display(photo)}: {error}") from error
    paths = free_paths(output, names, overwrite=overwrite)
    lpips = read_lpips(lpips_files(weights)).requires_grad_(False).to(opened.device)
    count = steps or STEPS
    with count_bar("search", count, quiet=quiet) as advance:
        w, left = project(searched, pixels, lpips, seed=seed, steps=count, on_step=advance)
    with torch.no_grad():
        noise = noise_for(network, [seed], opened.device)
        drawn = [to_pictures(each.synthesis(w, noise))[0] for each in (network, searched)[: len(paths)]]
    write_pictures(paths, drawn, overwrite=overwrite)
    _told(paths[0], f"found to an LPIPS of {left:.3f}", quiet)


def _told(path: Path, what: str, quiet: bool) -> None:
    if not quiet:
        print(f"{display(path)}{f': {what}' if what else ''}", file=sys.stderr)
