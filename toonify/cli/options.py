"""Options that several commands share."""

import os
from pathlib import Path
from typing import Annotated, cast, get_args

import typer

from toonify.cli.log import hush
from toonify.engines.engine import Device
from toonify.images.formats import FORMATS, FormatOption
from toonify.metrics.settings import Mode

# The panels of the help, by what is asked for.
PICTURES, DRAWING, MEASURING, OUTPUT, RUNNING = "Pictures", "How they are drawn", "Measuring", "Output", "Running"
FORMAT_NAMES = get_args(FormatOption)


def no_stream(path: Path | None) -> Path | None:
    """The callback of what is a folder: - is stdout elsewhere. Raises UsageError."""
    from toonify.errors import UsageError

    if path == Path("-"):
        raise UsageError("a folder is written, which - cannot be; give a name, such as out")
    return path


def parse_format(text: str) -> FormatOption:
    """A format by its name or by a suffix of its files, in capitals or not. Raises BadParameter for any other."""
    word = text.lower()
    for name in FORMAT_NAMES:
        if word == name or (name in FORMATS and f".{word}" in FORMATS[name].suffixes):
            return cast("FormatOption", name)
    raise typer.BadParameter(f"{text!r} is not one of {', '.join(FORMAT_NAMES)}")


def complete_style(incomplete: str) -> list[str]:
    """The names of styles that begin so, for the shell."""
    from toonify.styles.find import shipped_names

    return [name for name in shipped_names() if name.startswith(incomplete.lower())]


def complete_format(incomplete: str) -> list[str]:
    """The names of formats that begin so, for the shell."""
    return [name for name in FORMAT_NAMES if name.startswith(incomplete.lower())]


def _read_config(context: typer.Context, path: Path | None) -> Path | None:
    """Take options from a file, as if they were defaults: what is typed wins. Raises UsageError."""
    from toonify.errors import UsageError, display
    from toonify.train.options import nearest, read_config

    if path is None:
        return None
    where = f"--config {display(path)}"
    try:
        values = read_config(path.read_bytes(), os.fspath(path))
    except OSError as error:
        raise UsageError(f"{where}: {error.strerror}") from error
    known = {each.name: each for each in context.command.params if each.param_type_name == "option"}
    for name, value in values.items():
        if name not in known or name == "config":
            raise UsageError(
                f"{where}: {display(name)} is no option of {context.info_name}{nearest(name, list(known))}"
            )
        if isinstance(value, bool) != known[name].is_flag or isinstance(value, dict):  # type: ignore[attr-defined]
            kind = "true or false" if known[name].is_flag else "a value"  # type: ignore[attr-defined]
            raise UsageError(f"{where}: {display(name)} {display(str(value))}: give {kind}")
        if isinstance(value, list) != known[name].multiple:
            if isinstance(value, list):
                raise UsageError(f"{where}: {display(name)}: give one value")
            values[name] = value = [value]
        if not isinstance(value, bool):
            values[name] = [str(each) for each in value] if isinstance(value, list) else str(value)
    context.default_map = {**(context.default_map or {}), **values}
    return path


ConfigOption = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE",
        is_eager=True,
        callback=_read_config,
        help="Options from a TOML or YAML file; those typed here win.",
    ),
]
VariantOption = Annotated[
    str,
    typer.Option(
        "--variant",
        metavar="NAME",
        help="Variant of the style, such as lite or original. auto: its first, if that is here or can be fetched.",
        rich_help_panel=RUNNING,
    ),
]
DeviceOption = Annotated[Device, typer.Option(help="auto takes CUDA where it can run.", rich_help_panel=RUNNING)]
QuietOption = Annotated[bool, typer.Option("--quiet", "-q", help="Print nothing but errors.", callback=hush)]
WorkersOption = Annotated[
    int | None,
    typer.Option(min=1, max=256, help="Files worked on at once. Default: one for each core.", rich_help_panel=RUNNING),
]
MaxMegapixelsOption = Annotated[
    float, typer.Option(min=0.001, max=1_000_000, help="Refuse larger photos, unread.", rich_help_panel=PICTURES)
]
ModeOption = Annotated[
    Mode,
    typer.Option(
        help="Protocol: as torch-fidelity (legacy), pytorch-fid (pytorch) or clean-fid (clean).",
        rich_help_panel=MEASURING,
    ),
]
WeightsOption = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE",
        help="FID's Inception network. Default: the published file, fetched once.",
        rich_help_panel=MEASURING,
    ),
]
CacheOption = Annotated[
    bool, typer.Option("--cache/--no-cache", help="Remember what was measured, by content.", rich_help_panel=MEASURING)
]
