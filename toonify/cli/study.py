"""`toonify study`: ask people. Build a survey page, collect answers, tally them."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from toonify.cli.help import App
from toonify.cli.options import OUTPUT, PICTURES, DeviceOption, QuietOption, no_stream
from toonify.engines.engine import Device

if TYPE_CHECKING:
    from toonify.evaluate.candidates import Candidate, Drawn
    from toonify.jobs.find import Found
    from toonify.jobs.outcome import Outcome

app = App(help="Ask people which style comes nearest: build a survey, collect, tally.")


@app.command("build")
def build(
    styles: Annotated[
        list[str],
        typer.Argument(metavar="STYLE...", help="Styles as for convert, or folders of finished pictures; 2 to 9."),
    ],
    photos: Annotated[
        list[Path], typer.Option("--photos", help="Photos, or a folder of them, to be drawn.", rich_help_panel=PICTURES)
    ],
    reference: Annotated[
        list[Path], typer.Option("--reference", help="Frames of the style that is aimed at.", rich_help_panel=PICTURES)
    ],
    output: Annotated[
        Path,
        typer.Option(
            "--output",
            "-o",
            help="Folder for the page; all of it may be published.",
            callback=no_stream,
            rich_help_panel=OUTPUT,
        ),
    ],
    questions: Annotated[
        int | None,
        typer.Option(
            min=1, help="Photos to ask about. Default: 24, or all if there are fewer.", rich_help_panel="Survey"
        ),
    ] = None,
    repeats: Annotated[
        int | None,
        typer.Option(
            min=0, help="Questions asked twice, to check attention. Default: 3, or what fits.", rich_help_panel="Survey"
        ),
    ] = None,
    title: Annotated[
        str, typer.Option(help="Heading of the page.", rich_help_panel="Survey")
    ] = "Which drawing comes nearest?",
    seed: Annotated[
        int | None,
        typer.Option(
            min=0, max=2**53, help="Of the orders. Default: a new one, kept in the key.", rich_help_panel="Survey"
        ),
    ] = None,
    device: DeviceOption = "auto",
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace a survey that is there, and its key.", rich_help_panel=OUTPUT)
    ] = False,
    quiet: QuietOption = False,
) -> int:
    """Make a survey: one web page that works from disk and from any host, sends nothing and names nobody.

    Beside the folder come NAME.key.json, which tells whose pictures they are (keep it, and do not publish it), and
    NAME.pictures with what was drawn, so that a second build is quick. Exit code 1 if photos could not take part.
    """
    import secrets

    import numpy as np

    from toonify.cli.progress import beside
    from toonify.errors import display
    from toonify.evaluate.candidates import find_candidates
    from toonify.jobs.find import find_photos, in_words
    from toonify.study.build import (
        check_output,
        check_title,
        choose_numbers,
        key_path,
        make_survey,
        pictures_folder,
        write_survey,
    )

    check_title(title)
    check_output(output, overwrite=overwrite)
    candidates = find_candidates(styles)
    drawn_earlier = pictures_folder(output)
    found = find_photos(photos, leave_out=drawn_earlier)
    references = find_photos(reference, leave_out=drawn_earlier, drawings=True)
    # A seed that everybody knows would let a reader of the page work out which pictures have the same maker.
    seed = secrets.randbits(32) if seed is None else seed
    random = np.random.default_rng(seed)
    questions, repeats = choose_numbers(len(found), len(candidates), questions, repeats)
    chosen = [found[i] for i in random.permutation(len(found))[:questions]]
    drawings = _draw(candidates, chosen, found, drawn_earlier, device, quiet=quiet)
    survey = make_survey(
        chosen,
        references,
        drawings,
        title=title,
        repeats=repeats,
        seed=seed,
        random=random,
    )
    page = write_survey(survey, output, overwrite=overwrite)
    for path, reason in survey.failed:
        print(f"failed: {display(path)}: {reason}", file=sys.stderr)
    if not quiet:
        for note in survey.notes:
            print(f"note: {note}", file=sys.stderr)
        for title, walked in (("photos", found), ("--reference", references)):
            if others := in_words(walked.others):
                print(f"{title}: {len(walked)} pictures{beside(others)}", file=sys.stderr)
        plan = survey.key.plan
        print(
            f"{display(page)}: questions {plan.questions}, repeats {len(plan.forms[0]) - plan.questions}, "
            f"pictures {survey.pictures}, {page.stat().st_size / 1e6:.1f} MB\n"
            f"{display(key_path(output))}: whose pictures they are; `toonify study tally` needs it, and nobody who "
            "answers may see it",
            file=sys.stderr,
        )
    return 1 if survey.failed else 0


def _draw(
    candidates: "list[Candidate]",
    photos: "list[Found]",
    among: "list[Found]",
    folder: Path,
    device: Device,
    *,
    quiet: bool,
) -> "dict[str, Drawn]":
    from toonify.cli.progress import Progress
    from toonify.evaluate.candidates import draw_candidate

    to_draw = sum(candidate.plan is not None for candidate in candidates) * len(photos)
    with Progress(to_draw, quiet=quiet, debug=False) as progress:

        def show(outcome: "Outcome") -> None:
            # A photo that fails is named at the end, once and with the style.
            if outcome.result in ("drawn", "skipped"):
                progress.show(outcome)

        return {
            candidate.name: draw_candidate(candidate, photos, folder, among=among, device=device, on_outcome=show)
            for candidate in candidates
        }


@app.command("tally")
def tally(
    answers: Annotated[
        list[Path], typer.Argument(metavar="ANSWERS...", help="Folders of answers (*.json), or the files themselves.")
    ],
    key: Annotated[
        Path | None,
        typer.Option("--key", metavar="FILE.key.json", help="Of the survey. Default: the one in or beside the folder."),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            help="Folder for the tally as Markdown, JSON, CSV and a plot.",
            callback=no_stream,
            rich_help_panel=OUTPUT,
        ),
    ] = None,
    min_attention: Annotated[
        float | None,
        typer.Option(min=0, max=1, help="Leave out who answered fewer of the repeats as before; a share, 0 to 1."),
    ] = None,
    bootstrap: Annotated[int, typer.Option(min=100, max=1_000_000, help="Resamplings behind the intervals.")] = 1000,
    seed: Annotated[int, typer.Option(min=0, help="Of the resamplings.")] = 0,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace a tally that is there.", rich_help_panel=OUTPUT)
    ] = False,
) -> int:
    """Count answers: wins per question, votes, strengths with 95 % intervals, agreement, attention, positions.

    Files that are damaged, forged or of another survey are refused and named; the same answers count once. Exit code 1
    if any file was refused.
    """
    from toonify.errors import display
    from toonify.study.answers import collect_answers
    from toonify.study.report import check_report, markdown, write_report
    from toonify.study.sources import find_answers, find_key
    from toonify.study.tally import count

    files = find_answers(answers)
    if output is not None:
        check_report(output, answers, overwrite=overwrite)
    survey_key = find_key(answers, key)
    collected = collect_answers(files, survey_key.plan)
    for path, reason in collected.refused:
        print(f"refused: {display(path)}: {reason}", file=sys.stderr)
    for path, other in collected.duplicates:
        print(f"duplicate: {display(path)}: the same as {display(other)}, counted once", file=sys.stderr)
    if collected.refused or collected.duplicates:
        print(
            f"counted {len(collected.answers)}, duplicates {len(collected.duplicates)}, "
            f"refused {len(collected.refused)}",
            file=sys.stderr,
        )
    if not collected.answers:
        print("nothing is left to count", file=sys.stderr)
        return 1
    counted = count(survey_key, collected.answers, min_attention=min_attention, bootstrap=bootstrap, seed=seed)
    print(markdown(counted), end="")
    if output is not None:
        for path in write_report(output, counted, collected, overwrite=overwrite):
            print(display(path), file=sys.stderr)
    return 1 if collected.refused else 0


@app.command("serve")
def serve(
    survey: Annotated[Path, typer.Argument(metavar="SURVEY", help="The folder that `toonify study build` made.")],
    answers: Annotated[
        Path | None, typer.Option("--answers", help="Folder for the answers. Default: SURVEY.answers beside it.")
    ] = None,
    host: Annotated[str, typer.Option(help="Address to listen on; 0.0.0.0 opens it to the network.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 takes any that is free.")] = 8000,
    quiet: QuietOption = False,
) -> None:
    """Show a survey and collect its answers on this machine, until Ctrl-C.

    Answers are checked as they come and only ever added, one file for each visitor.
    """
    from toonify.errors import display
    from toonify.study.build import answers_folder
    from toonify.study.serve import Collector, start_server

    def tell(line: str) -> None:
        if not quiet or line.startswith("error"):
            print(line, file=sys.stderr)

    folder = answers_folder(survey if survey.is_dir() else survey.parent) if answers is None else answers
    collector = Collector(survey, folder, tell)
    with start_server(collector, host, port) as server:
        if not quiet:
            print(f"{server.address} shows the survey; answers go to {display(folder)}; Ctrl-C ends it")
            if server.listening.is_loopback:
                print("only this machine can reach it; --host opens it to others")
        if not server.listening.is_loopback:
            print(
                f"warning: --host {host} lets everybody on the network see the page and send answers, unencrypted",
                file=sys.stderr,
            )
        sys.stdout.flush()
        try:
            server.serve_forever()
        finally:
            if not quiet:
                print(f"ended; {collector.count()} collected in {display(folder)}", file=sys.stderr)
