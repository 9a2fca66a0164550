"""What the commands that train have in common: their options, made of a schema, and what of them was asked for."""

import inspect
import os
import shlex
import sys
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar, get_args, get_type_hints

import msgspec
import typer

from toonify.cli.log import hush
from toonify.train.options import PANELS, RunOptions, bare_type, flag

if TYPE_CHECKING:
    from toonify.train.run import Run
    from toonify.train.start import Outline, Resumed

_LARGE = 10_000

RunOptionsT = TypeVar("RunOptionsT", bound=RunOptions)


def as_command(work: Callable[..., int], kind: type[RunOptions]) -> Callable[..., int]:
    """`work` as a command that has an option for each field of `kind`, and those of every run.

    It is called with the context, config, resume, dry_run, quiet, and the fields by name.
    """

    def command(**arguments: Any) -> int:
        return work(**arguments)

    signature = _signature(kind)
    command.__doc__ = work.__doc__  # the command's help
    command.__signature__ = signature  # type: ignore[attr-defined]
    command.__annotations__ = {name: each.annotation for name, each in signature.parameters.items()}
    return command


def read_asked(
    context: typer.Context, config: Path | None, given: dict[str, Any], kind: type[RunOptions]
) -> dict[str, Any]:
    """What was typed, and what the config file adds; the rest is left to the checkpoint and the method.

    Raises UsageError.
    """
    from toonify.errors import UsageError, display
    from toonify.train.options import check_values, read_config

    asked = {name: value for name, value in given.items() if _was_typed(context, name)}
    if config is None:
        return asked
    try:
        text = config.read_bytes()
    except OSError as error:
        raise UsageError(f"--config {display(config)}: {error.strerror}") from error
    values = read_config(text, os.fspath(config))
    check_values(values, kind, where=f"--config {display(config)}")
    return values | asked


def choose_options(
    resume: str | None, asked: dict[str, Any], kind: type[RunOptionsT]
) -> "tuple[RunOptionsT, Resumed | None]":
    """The options of a run, and the checkpoint that it goes on from, if it does. Raises UsageError."""
    from toonify.train.options import make_options
    from toonify.train.start import find_resumed

    return (make_options(asked, kind), None) if resume is None else find_resumed(resume, asked, kind)


def remarks_on(lined: "Outline", run: "Run", remarks: Iterable[str]) -> list[str]:
    """What is to be said of a run before its first step."""
    return [*remarks, *([f"goes on from step {run.step} of {lined.plan.steps}"] if run.step else [])]


def train_shown(run: "Run", *, quiet: bool) -> None:
    """Train with a live table on the terminal."""
    from toonify.cli.training import Live
    from toonify.train.loop import train

    try:
        with Live(run.plan, quiet=quiet) as reporter:
            train(run, reporter)
    except KeyboardInterrupt:
        tell([] if quiet else [way_on(run)])
        raise


def way_on(run: "Run") -> str:
    """What of an interrupted run is saved, and what to type to go on."""
    from toonify.errors import display

    saved = run.folder.checkpoints()
    if not saved:
        return "nothing is saved yet; the same command begins anew"
    step = int(saved[-1].stem.removeprefix("step-"))
    command = f"toonify {run.options.command} --resume last --output {shlex.quote(display(run.folder.path))}"
    return f"saved: step {step} of {run.plan.steps}; to go on: {command}"


def end_of(run: "Run") -> list[str]:
    """What is to be said of a run that is finished."""
    from toonify.errors import display
    from toonify.train.check import duration

    folder = run.folder.path
    named = folder if len(folder.parts) > 1 else f"./{folder}"  # a bare word could be a shipped style's name
    command = f"convert PHOTOS --style {display(named)}"
    if run.method.from_noise:
        command = f"generate {display(named)} --grid 4x4"
    elif run.method.from_pictures:
        command = f"convert PHOTOS --style PICTURE --style-network {display(named)}"
    return [
        f"finished: {run.step} steps in {duration(run.seconds)}; look at {display(run.folder.page)}",
        f"try it: toonify {command}",
    ]


def tell(lines: Iterable[str]) -> None:
    """Print lines to stderr."""
    for line in lines:
        print(line, file=sys.stderr)


def _was_typed(context: typer.Context, name: str) -> bool:
    source = context.get_parameter_source(name)
    return source is not None and source.name == "COMMANDLINE"


def _signature(kind: type[RunOptions]) -> inspect.Signature:
    keyword = inspect.Parameter.KEYWORD_ONLY
    parameters = [inspect.Parameter("context", keyword, annotation=typer.Context)]
    hints = get_type_hints(kind, include_extras=True)
    for field in sorted(msgspec.structs.fields(kind), key=lambda field: PANELS.index(_panel(hints[field.name]))):
        preset = None if field.default is msgspec.NODEFAULT else field.default
        annotation = _option(field, hints[field.name], is_path=field.name in kind.paths)
        parameters.append(inspect.Parameter(field.name, keyword, default=preset, annotation=annotation))
    own: dict[str, tuple[Any, Any]] = {
        "config": (
            Path | None,
            typer.Option(metavar="FILE", help="Options from a TOML or YAML file; those typed here win."),
        ),
        "resume": (str | None, typer.Option(metavar="last|FILE", help="Go on from a checkpoint.")),
        "dry_run": (bool, typer.Option("--dry-run", help="Check data, options and memory, print the plan, and stop.")),
        "quiet": (bool, typer.Option("--quiet", "-q", help="Print nothing but errors.", callback=hush)),
    }
    for name, (shape, option) in own.items():
        default = False if shape is bool else None
        parameters.append(inspect.Parameter(name, keyword, default=default, annotation=Annotated[shape, option]))
    return inspect.Signature(parameters, return_annotation=int)


def _told(hint: Any) -> msgspec.Meta:
    """What the schema says of a field: its help and its panel."""
    return next(each for each in get_args(hint)[1:] if isinstance(each, msgspec.Meta) and each.extra)


def _panel(hint: Any) -> str:
    return str((_told(hint).extra or {})["panel"])


def _metavar(limits: Mapping[str, float], *, is_path: bool) -> str | None:
    """What an option takes; limits that nobody comes near are not told."""
    if limits and max(limits.values()) <= _LARGE:
        return f"{min(limits.values()):g}..{max(limits.values()):g}"
    return "N" if limits else "PATH" if is_path else None


def _option(field: msgspec.structs.FieldInfo, hint: Any, *, is_path: bool) -> Any:
    """A field as Typer has options: the same name, limits and help."""
    kind, limits = bare_type(hint)
    names = [flag(field.name)]
    if kind is bool:
        names = [f"{names[0]}/--no-{field.name.replace('_', '-')}"]
    option = typer.Option(
        *names,
        # The schema is what refuses a value, with both limits and in one wording for options and config files.
        metavar=_metavar(limits, is_path=is_path),
        help=_told(hint).description,
        show_default=field.default not in (msgspec.NODEFAULT, None, "", False),
        rich_help_panel=_panel(hint),
    )
    return Annotated[kind | None, option]
