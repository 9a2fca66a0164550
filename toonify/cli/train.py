"""`toonify train`: folders of photos and cartoons to a style of one's own."""

import inspect
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, get_args, get_type_hints

import msgspec
import typer

from toonify.train.options import Options, bare_type, flag

if TYPE_CHECKING:
    from toonify.train.start import Outline


def _train(
    context: typer.Context,
    config: Path | None,
    resume: str | None,
    dry_run: bool,
    quiet: bool,
    **given: Any,
) -> int:
    """Train a style of your own on a folder of photos and a folder of cartoons.

    runs/NAME gets a style that `convert --style runs/NAME` and `export` take, checkpoints, samples, a log and
    index.html, which shows all of it. Ctrl-C saves first, and --resume last goes on. Several GPUs:
    `torchrun --nproc-per-node N -m toonify train ...`.

    Exit codes: 0 the run is finished; 1 it had to stop; 2 the command line cannot be right; 3 it could not start
    (device, networks); 130 interrupted, with a checkpoint.
    """
    from toonify.errors import UsageError, display
    from toonify.train.options import make_options, read_config

    # What was not typed is left to the config file, the checkpoint, the method.
    asked = {name: value for name, value in given.items() if _was_typed(context, name)}
    if config is not None:
        try:
            text = config.read_bytes()
        except OSError as error:
            raise UsageError(f"--config {display(config)}: {error.strerror}") from error
        values = read_config(text, os.fspath(config))
        if values:
            make_options({"arch": asked.get("arch", "cartoongan"), **values}, where=f"--config {display(config)}")
        asked = values | asked

    from toonify import distributed
    from toonify.cli.training import Live
    from toonify.train.check import duration
    from toonify.train.loop import train
    from toonify.train.start import choose_precision, describe, find_resumed, make_run, outline, rehearse

    options, resumed = (make_options(asked), None) if resume is None else find_resumed(resume, asked)
    distributed.start(choose_precision(options).device)
    try:
        leads = distributed.rank() == 0
        quiet = quiet or not leads
        lined = outline(options, resumed)
        if leads:
            plan = describe(lined)
            _print(plan if not quiet or dry_run else [])
        run, remarks = make_run(lined, quiet=quiet)
        _print([] if quiet else [*remarks, *_where(lined, run.step)])
        if dry_run:
            _print(rehearse(run) if leads else [])
            return 0
        if leads:
            if run.evaluation is not None:
                run.evaluation.open(quiet=quiet)
            lined.folder.make()
        distributed.wait()
        with Live(run.plan, quiet=quiet) as reporter:
            train(run, reporter)
        if not quiet:
            _print([f"finished: {run.step} steps in {duration(run.seconds)}; look at {display(lined.folder.page)}"])
            _print([f"try it: toonify convert PHOTOS --style {display(lined.folder.path)}"])
        return 0
    finally:
        distributed.stop()


def _was_typed(context: typer.Context, name: str) -> bool:
    source = context.get_parameter_source(name)
    return source is not None and source.name == "COMMANDLINE"


def _where(lined: "Outline", step: int) -> list[str]:
    return [f"goes on from step {step} of {lined.plan.steps}"] if step else []


def _print(lines: list[str]) -> None:
    for line in lines:
        print(line, file=sys.stderr)


def _signature() -> inspect.Signature:
    """The command's parameters: those above, and an option for each field of `Options`."""
    parameters = [parameter for name, parameter in inspect.signature(_train).parameters.items() if name == "context"]
    own = {
        "config": Annotated[
            Path | None, typer.Option(metavar="FILE", help="Options from a TOML or YAML file; those typed here win.")
        ],
        "resume": Annotated[str | None, typer.Option(metavar="last|FILE", help="Go on from a checkpoint.")],
        "dry_run": Annotated[
            bool, typer.Option("--dry-run", help="Check data, options and memory, print the plan, and stop.")
        ],
        "quiet": Annotated[bool, typer.Option("--quiet", "-q", help="Print nothing but errors.")],
    }
    keyword = inspect.Parameter.KEYWORD_ONLY
    hints = get_type_hints(Options, include_extras=True)
    for field in msgspec.structs.fields(Options):
        preset = None if field.default is msgspec.NODEFAULT else field.default
        annotation = _option(field, hints[field.name])
        parameters.append(inspect.Parameter(field.name, keyword, default=preset, annotation=annotation))
    for name, annotation in own.items():
        default = False if name in ("dry_run", "quiet") else None
        parameters.append(inspect.Parameter(name, keyword, default=default, annotation=annotation))
    return inspect.Signature(parameters, return_annotation=int)


def _option(field: msgspec.structs.FieldInfo, hint: Any) -> Any:
    """A field as Typer has options: the same name, limits and help."""
    kind, limits = bare_type(hint)
    meta = next(each for each in get_args(hint)[1:] if isinstance(each, msgspec.Meta) and each.extra)
    names = [flag(field.name)]
    if kind is bool:
        names = [f"{names[0]}/--no-{field.name.replace('_', '-')}"]
    option = typer.Option(
        *names,
        # The schema is what refuses a value, with both limits and in one wording for options and config files.
        metavar=f"{min(limits.values())}..{max(limits.values())}" if limits else None,
        help=meta.description,
        show_default=field.default not in (msgspec.NODEFAULT, None, "", False),
        rich_help_panel=(meta.extra or {})["panel"],
    )
    return Annotated[kind | None, option]


def train(**arguments: Any) -> int:
    """See `_train`, whose docstring is the command's help."""
    return _train(**arguments)


train.__doc__ = _train.__doc__
train.__signature__ = _signature()  # type: ignore[attr-defined]
train.__annotations__ = {name: each.annotation for name, each in train.__signature__.parameters.items()}  # type: ignore[attr-defined]
