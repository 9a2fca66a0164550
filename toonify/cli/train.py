"""`toonify train`: folders of photos and cartoons to a style of one's own."""

from pathlib import Path
from typing import Any

import typer

from toonify.cli.log import hush
from toonify.cli.running import as_command, choose_options, end_of, read_asked, remarks_on, tell, train_shown
from toonify.train.options import Options


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

    from toonify.system import distributed
    from toonify.train.start import choose_precision, describe, make_run, outline, rehearse

    options, resumed = choose_options(resume, asked, Options)
    distributed.start(choose_precision(options).device)
    try:
        leads = distributed.rank() == 0
        quiet = hush(quiet or not leads)
        lined = outline(options, resumed)
        if leads:
            plan = describe(lined)
            tell(plan if not quiet or dry_run else [])
        run, remarks = make_run(lined)
        tell([] if quiet else remarks_on(lined, run, remarks))
        if dry_run:
            tell(rehearse(run) if leads else [])
            return 0
        if leads:
            if run.evaluation is not None:
                run.evaluation.open()
            context.with_resource(lined.folder.reserved())
            lined.folder.make()
        distributed.wait()
        train_shown(run, quiet=quiet)
        tell([] if quiet else end_of(run))
        return 0
    finally:
        distributed.stop()


train = as_command(_train, Options)
