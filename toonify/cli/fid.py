"""`toonify fid`: how far sets of pictures are from a reference."""

import contextlib
import json
import os
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from toonify.cli.help import App, Group, make_console, print_parameters
from toonify.cli.options import (
    MEASURING,
    OUTPUT,
    CacheOption,
    DeviceOption,
    ModeOption,
    QuietOption,
    WeightsOption,
)
from toonify.cli.progress import beside, count_bar
from toonify.errors import display
from toonify.metrics.settings import Mode
from toonify.metrics.table import SET_METRICS, SPREAD, Figure, Setup, figures_of, standard_metrics

if TYPE_CHECKING:
    from toonify.metrics.cache import FeatureCache
    from toonify.metrics.compare import Comparison
    from toonify.metrics.inception import Inception
    from toonify.metrics.measure import Measured
    from toonify.metrics.sets import PictureSet


_DRAWN = 1000  # pictures of a generator from noise, unless it is said otherwise


class _CompareByDefault(Group):
    """`toonify fid A B` is `toonify fid compare A B`: what is no command is a set of pictures."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        if args and args[0] not in self.commands and args[0] not in ctx.help_option_names:
            args = ["compare", *args]
        return list(super().parse_args(ctx, args))

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """That of the group, and below it the options of `compare`, which need not be named."""
        super().format_help(ctx, formatter)
        compare = self.commands["compare"]
        with compare.make_context("compare", [], parent=ctx, resilient_parsing=True) as inner:
            print_parameters(make_console(), compare, inner)


app = App(
    cls=_CompareByDefault,
    help="Measure how far sets of pictures are from a reference: FID, KID, Inception Score, precision and recall. "
    "`toonify fid A B` is `toonify fid compare A B`.",
)


@app.command("compare")
def compare(
    context: typer.Context,
    sets: Annotated[
        list[str],
        typer.Argument(
            metavar="SET... REFERENCE", help="Folders, globs, lists (.txt), saved statistics (.npz), or generators."
        ),
    ],
    metrics: Annotated[
        str | None,
        typer.Option(
            metavar="LIST",
            help=f"Of {', '.join(SET_METRICS)}, with commas. Default: {','.join(standard_metrics())}; "
            f"{','.join(standard_metrics(saved=True))} with saved statistics.",
            rich_help_panel=MEASURING,
        ),
    ] = None,
    mode: ModeOption = "legacy",
    weights: WeightsOption = None,
    number: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            min=2,
            max=100_000,
            help="Pictures that are drawn of a generator from noise. Default: 1000.",
            rich_help_panel=MEASURING,
        ),
    ] = None,
    kid_subset: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            min=2,
            help="Pictures in each of KID's 100 subsets. Default: 1000, or half of a small set.",
            rich_help_panel=MEASURING,
        ),
    ] = None,
    seed: Annotated[
        int,
        typer.Option(min=0, max=2**32 - 1, help="For KID's subsets and the score's parts.", rich_help_panel=MEASURING),
    ] = 2020,
    cache: CacheOption = True,
    device: DeviceOption = "auto",
    as_json: Annotated[
        bool, typer.Option("--json", help="Print all figures and the protocol as JSON.", rich_help_panel=OUTPUT)
    ] = False,
    quiet: QuietOption = False,
) -> int:
    """Compare each SET with the REFERENCE, which comes last. Lower is nearer, but for precision and recall.

    A run of a generator from noise is a set, too: pictures of the seeds from 0 on, which are drawn for it.

    Pictures that cannot be read are named and left out of figures and counts. Figures can be compared with others if
    mode, weights and counts are the same. Exit code 1 if a picture could not be read.
    """
    from toonify.errors import UsageError
    from toonify.metrics.compare import check_set, compare, record
    from toonify.metrics.inception import Inception, find_weights
    from toonify.metrics.measure import load_statistics
    from toonify.metrics.sets import find_set, set_to_draw
    from toonify.styles.find import generator_at

    drawn_in = Path(context.with_resource(tempfile.TemporaryDirectory()))
    if len(sets) < 2:
        raise UsageError(f"{display(sets[0])} alone has no distance; name the reference after it")
    generators = [generator_at(name) for name in sets]
    if number is not None and not any(generators):
        raise UsageError("--number is for generators from noise, of which there is none; drop it")
    found = [
        find_set(name) if generator is None else set_to_draw(name, number or _DRAWN, drawn_in / str(place))
        for place, (name, generator) in enumerate(zip(sets, generators, strict=True))
    ]
    wanted = _metrics(metrics, saved=any(one.statistics for one in found))
    if kid_subset is not None and "kid" not in wanted:
        raise UsageError("--kid-subset is for KID; add kid to --metrics, or drop it")

    def check(one: "PictureSet", count: int) -> None:
        check_set(wanted, one, count, setup, is_reference=one is found[-1])

    # What can be known to be wrong is said before minutes of measuring.
    setup = Setup(seed, kid_subset)
    for one in found:
        check(one, len(one.pictures))
    network = Inception(find_weights(weights), device=device)
    setup = Setup(seed, kid_subset, network.weights)
    for name in wanted:
        SET_METRICS[name].prepare(setup)
    keep_vectors = any(SET_METRICS[name].vectors for name in wanted)
    saved = {i: load_statistics(one.statistics, network, mode) for i, one in enumerate(found) if one.statistics}
    measured = []
    for one, generator in zip(found, generators, strict=True):
        if generator is not None:
            from toonify.generate.sets import draw_set  # only here, for with it comes PyTorch

            with count_bar(f"drawing {one.name}", len(one.pictures), quiet=quiet) as advance:
                draw_set(generator, one, device=device, on_picture=advance)
    with _open_cache(network, mode, cache) as features:
        for i, one in enumerate(found):
            if i in saved:
                measured.append(saved[i])
                continue
            measured.append(_measure(one, network, mode, features, keep_vectors=keep_vectors, quiet=quiet))
            check(one, measured[-1].count or 0)
    *judged, reference = measured
    comparisons = [compare(one, reference, wanted, setup) for one in judged]
    if as_json:
        print(json.dumps(record(comparisons, measured, network, mode, seed), indent=1))
    else:
        _print_table(comparisons, reference, figures_of(wanted), network, mode)
    return 1 if any(one.failed for one in measured) else 0


@app.command("save")
def save(
    pictures: Annotated[str, typer.Argument(metavar="SET", help="A folder, a glob or a list (.txt).")],
    target: Annotated[Path, typer.Argument(metavar="OUT.npz", help="The file to write.")],
    mode: ModeOption = "legacy",
    weights: WeightsOption = None,
    cache: CacheOption = True,
    device: DeviceOption = "auto",
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace OUT.npz if it is there.", rich_help_panel=OUTPUT)
    ] = False,
    quiet: QuietOption = False,
) -> int:
    """Keep mean and covariance of a set as pytorch-fid does, for a reference that is needed often.

    Exit code 1 if a picture could not be read.
    """
    from toonify.errors import ToonifyError, UsageError, describe
    from toonify.metrics.gaussian import save_statistics
    from toonify.metrics.inception import Inception, find_weights
    from toonify.metrics.measure import protocol
    from toonify.metrics.sets import find_set

    if target.suffix != ".npz":
        raise UsageError(f"{display(target)}: give a name that ends in .npz")
    if target.is_dir():
        raise UsageError(f"{display(target)} is a folder; give another name")
    if os.path.lexists(target) and not overwrite:
        raise UsageError(f"{display(target)} is there already; give another name, or --overwrite")
    if not target.parent.is_dir():
        raise UsageError(f"there is no folder {display(target.parent)}; make it first")
    if not os.access(target.parent, os.W_OK):
        raise UsageError(f"{display(target.parent)} cannot be written to; give another folder")
    found = find_set(pictures)
    if found.statistics is not None:
        raise UsageError(f"{display(pictures)} is a file of statistics already; copy it")
    network = Inception(find_weights(weights), device=device)
    with _open_cache(network, mode, cache) as features:
        measured = _measure(found, network, mode, features, keep_vectors=False, quiet=quiet)
    try:
        save_statistics(measured.gaussian, target, protocol(network, mode), overwrite=overwrite)
    except OSError as error:
        raise ToonifyError(f"{display(target)} cannot be written: {describe(error)}") from error
    if not quiet:
        print(f"{display(target)}: {measured.count} pictures, {target.stat().st_size / 1e6:.1f} MB", file=sys.stderr)
    return 1 if measured.failed else 0


def _metrics(text: str | None, *, saved: bool) -> list[str]:
    from toonify.errors import UsageError

    if text is None:
        return standard_metrics(saved=saved)
    names = [name.strip() for name in text.split(",")]
    for name in names:
        if name not in SET_METRICS:
            what = display(name) or "an empty word"
            raise UsageError(f"--metrics {display(text)}: {what} is no metric; choose of {', '.join(SET_METRICS)}")
    return list(dict.fromkeys(names))


def _open_cache(
    network: "Inception", mode: Mode, wanted: bool
) -> "contextlib.AbstractContextManager[FeatureCache | None]":
    from toonify.metrics.features import open_cache

    return open_cache(network, mode) if wanted else contextlib.nullcontext()


def _measure(
    pictures: "PictureSet",
    network: "Inception",
    mode: Mode,
    cache: "FeatureCache | None",
    *,
    keep_vectors: bool,
    quiet: bool,
) -> "Measured":
    from toonify.metrics.measure import measure

    network.prepare()  # in this thread, which hears Ctrl-C
    with count_bar(pictures.name, len(pictures.pictures), quiet=quiet) as advance:
        measured = measure(
            pictures,
            network,
            mode,
            cache,
            keep_vectors=keep_vectors,
            on_batch=lambda batch: advance(len(batch.vectors) + len(batch.failed)),
        )
    for path, reason in measured.failed:
        print(f"failed: {display(path)}: {reason}", file=sys.stderr)
    if pictures.others and not quiet:
        print(f"{display(pictures.name)}: {measured.count} pictures{beside(pictures.others)}", file=sys.stderr)
    return measured


def _print_table(
    comparisons: "list[Comparison]",
    reference: "Measured",
    figures: list[Figure],
    network: "Inception",
    mode: Mode,
) -> None:
    from rich.table import Table
    from rich.text import Text

    from toonify.cli.console import Console
    from toonify.metrics.compare import remarks

    table = Table("set", "pictures", *(figure.title for figure in figures), box=None, pad_edge=False)
    for one in comparisons:
        count = "unknown" if one.count is None else str(one.count)
        table.add_row(Text(display(one.name)), count, *(_told(figure, one.figures) for figure in figures))
    Console(width=None if sys.stdout.isatty() else 200, highlight=False).print(table)
    print(f"reference: {display(reference.name)}, {reference.count or 'unknown'} pictures")
    print(
        f"protocol: {mode} resize, Inception {network.weights}"
        + (", KID over 100 subsets" if "kid" in comparisons[0].figures else "")
        + f"; {f'run on {network.runs_on}' if network.runs_on else 'all from the cache'}"
    )
    for remark in remarks(comparisons):
        print(f"note: {remark}")


def _told(figure: Figure, figures: Mapping[str, float]) -> str:
    """A figure with two digits more than other tables have, and its standard deviation."""
    value = figures[figure.name]
    if isinstance(value, int):
        return str(value)
    digits = figure.digits + 2
    spread = f" ± {figures[figure.name + SPREAD]:.{digits}f}" if figure.has_spread else ""
    return f"{value:.{digits}f}{spread}"
