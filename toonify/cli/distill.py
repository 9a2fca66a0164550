"""`toonify distill`: a small, fast generator that draws what a large one draws."""

import contextlib
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from toonify.cli.progress import count_bar
from toonify.cli.running import as_command, choose_options, end_of, read_asked, remarks_on, tell, train_shown
from toonify.distill.options import DistillOptions

if TYPE_CHECKING:
    from toonify.distill.start import Preparation


def _distill(
    context: typer.Context,
    config: Path | None,
    resume: str | None,
    dry_run: bool,
    quiet: bool,
    **given: Any,
) -> int:
    """Teach a small generator what a style draws, which then takes a thirteenth of the time and of the disk.

    The teacher draws every photo as convert would, colors kept, once; the student learns from these pairs. runs/NAME
    gets a style that `convert --style runs/NAME` and `export` take, its network as NAME-lite.onnx, the pairs,
    checkpoints, samples, a log and index.html. Ctrl-C loses nothing: the same command goes on drawing, and --resume
    last goes on training.

    Exit codes: 0 the run is finished; 1 it had to stop; 2 the command line cannot be right; 3 it could not start
    (teacher, device, networks); 130 interrupted.
    """
    asked = read_asked(context, config, given, DistillOptions)

    from toonify.distill.start import (
        describe,
        draw_targets,
        estimate,
        lacks_only_network,
        open_needed,
        outline,
        prepare,
    )
    from toonify.train.start import make_run, rehearse

    options, resumed = choose_options(resume, asked, DistillOptions)
    prepared = prepare(options, resumed)
    plan = describe(prepared)
    tell(plan if not quiet or dry_run else [])
    if dry_run:
        teacher = open_needed(prepared)
        if teacher is not None:
            tell([f"drawings: {teacher.remark}", estimate(prepared, teacher)])
        run, remarks = make_run(outline(prepared))
        tell([*remarks_on(outline(prepared), run, remarks), *rehearse(run)])
        return 0

    context.with_resource(prepared.folder.reserved())
    if resumed is None:  # what is wrong with networks and their weights, before hours of drawing
        rehearsal, _ = make_run(outline(prepared))
        if rehearsal.evaluation is not None:
            rehearsal.evaluation.open()

    def bar(title: str, total: int) -> contextlib.AbstractContextManager[Callable[[float], None]]:
        return _bar(title, total, quiet=quiet)

    if lacks_only_network(prepared):
        return _export(prepared, quiet=quiet)
    prepared = draw_targets(prepared, bar=bar, tell=lambda line: tell([line]))
    lined = outline(prepared)
    run, remarks = make_run(lined)
    tell([] if quiet else remarks_on(lined, run, remarks))
    if run.evaluation is not None:
        run.evaluation.open()
    lined.folder.make()
    train_shown(run, quiet=quiet)
    tell([] if quiet else end_of(run))
    return _export(prepared, quiet=quiet)


def _export(prepared: "Preparation", *, quiet: bool) -> int:
    """Write the networks of a run whose steps are all taken. Raises TrainingError."""
    from toonify.distill.start import int8_file, network_file, write_int8, write_network
    from toonify.errors import ToonifyError, TrainingError, display

    folder = prepared.folder
    try:
        written = write_network(folder)
    except (ToonifyError, OSError) as error:
        name = display(network_file(folder))
        way_out = f"`toonify export {display(folder.path)} {name}` makes it"
        raise TrainingError(f"{name} could not be written: {error}; {way_out}") from error
    tell([] if quiet else [written])
    if prepared.options.quantize:
        try:
            written = write_int8(prepared)
        except (ToonifyError, OSError) as error:
            raise TrainingError(f"{display(int8_file(folder))} could not be written: {error}") from error
        tell([] if quiet else [written])
    return 0


@contextlib.contextmanager
def _bar(title: str, total: int, *, quiet: bool) -> Iterator[Callable[[float], None]]:
    """A bar on a terminal; elsewhere a line, as the whole takes minutes."""
    if not quiet and not sys.stderr.isatty():
        tell([f"{title}: {total}"])
    with count_bar(title, total, quiet=quiet) as advance:
        yield advance


distill = as_command(_distill, DistillOptions)
