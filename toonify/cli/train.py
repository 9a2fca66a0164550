"""`toonify train`: folders of photos and cartoons to a style of one's own."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from toonify.cli.running import as_command, read_asked, tell
from toonify.train.options import Options

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
    asked = read_asked(context, config, given, Options)

    from toonify import distributed
    from toonify.cli.training import Live
    from toonify.errors import display
    from toonify.train.check import duration
    from toonify.train.loop import train
    from toonify.train.options import make_options
    from toonify.train.start import choose_precision, describe, find_resumed, make_run, outline, rehearse

    if resume is None:
        options, resumed = make_options(asked, Options), None
    else:
        options, resumed = find_resumed(resume, asked, Options)
    distributed.start(choose_precision(options).device)
    try:
        leads = distributed.rank() == 0
        quiet = quiet or not leads
        lined = outline(options, resumed)
        if leads:
            plan = describe(lined)
            tell(plan if not quiet or dry_run else [])
        run, remarks = make_run(lined, quiet=quiet)
        tell([] if quiet else [*remarks, *where(lined, run.step)])
        if dry_run:
            tell(rehearse(run) if leads else [])
            return 0
        if leads:
            if run.evaluation is not None:
                run.evaluation.open(quiet=quiet)
            lined.folder.make()
        distributed.wait()
        with Live(run.plan, quiet=quiet) as reporter:
            train(run, reporter)
        if not quiet:
            tell([f"finished: {run.step} steps in {duration(run.seconds)}; look at {display(lined.folder.page)}"])
            tell([f"try it: toonify convert PHOTOS --style {display(lined.folder.path)}"])
        return 0
    finally:
        distributed.stop()


def where(lined: "Outline", step: int) -> list[str]:
    """From where a run goes on, if it does."""
    return [f"goes on from step {step} of {lined.plan.steps}"] if step else []


train = as_command(_train, Options)
