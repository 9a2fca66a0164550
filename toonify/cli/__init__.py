"""The command line. Only this package knows Typer and Rich; a command is a module, and imports its work when run."""

import io
import os
import sys
import warnings
from pathlib import Path
from typing import IO, Annotated

import typer

from toonify.cli import (
    convert,
    distill,
    doctor,
    evaluate,
    export,
    fid,
    generate,
    prepare,
    serve,
    sheet,
    smooth_edges,
    study,
    styles,
    swap_layers,
    train,
)
from toonify.cli.help import App
from toonify.cli.interrupt import ended_by_ctrl_c
from toonify.cli.log import log_to_stderr
from toonify.train.options import FORMER_NAMES, flag

EXIT_CODES = (
    "Exit codes: 0 all good; 1 some files failed; 2 the command line cannot be right; "
    "3 toonify could not start on the work (style, device, network) or had to end (full disk); 130 interrupted."
)

_SIGPIPE = 141  # the exit code of a program that a closed pipe has ended

app = App(
    name="toonify",
    help="Turn photos into anime pictures on your own machine.",
    epilog=EXIT_CODES,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command("convert")(convert.convert)
app.command("sheet")(sheet.sheet)
app.command("serve")(serve.serve)
app.add_typer(styles.app, name="styles")
app.add_typer(fid.app, name="fid")
app.command("evaluate")(evaluate.evaluate)
app.command("prepare")(prepare.prepare)
app.command("smooth-edges")(smooth_edges.smooth_edges)
app.command("train")(train.train)
app.command("distill")(distill.distill)
app.command("generate")(generate.generate)
app.command("swap-layers")(swap_layers.swap_layers)
app.command("export")(export.export)
app.add_typer(study.app, name="study")
app.command("doctor")(doctor.doctor)


def _print_version(wanted: bool) -> None:
    if wanted:
        from toonify.version import __version__

        typer.echo(f"toonify {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")] = False,
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    """Turn photos into anime pictures on your own machine."""


def main(arguments: list[str] | None = None) -> int:
    """Run the command line and return its exit code; every error is one line on stderr, unless --debug is given."""
    from toonify.errors import ToonifyError, describe, one_line

    arguments = sys.argv[1:] if arguments is None else arguments
    arguments = _as_options(arguments)
    debug = "--debug" in arguments
    # --debug counts wherever it stands: who adds it has just seen a command fail, and has its end under the cursor.
    arguments = (["--debug"] if debug else []) + [_of_today(word) for word in arguments if word != "--debug"]
    if sys.stderr is None:  # closed (`2>&-`): print would take stdout in its place, where a picture may go
        sys.stderr = Path(os.devnull).open("w")  # noqa: SIM115 - to the end of the process
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # names of files may hold what the terminal cannot show
    if not debug:  # libraries' remarks on odd files and full disks; what matters is said by errors
        warnings.simplefilter("ignore")
    try:
        with log_to_stderr(), ended_by_ctrl_c():
            code = int(app(arguments, prog_name="toonify", standalone_mode=False) or 0)
        if sys.stdout is not None:
            sys.stdout.flush()  # or a full disk would be met where nobody can say so
        if code == 130:  # Typer has caught the KeyboardInterrupt
            print("interrupted", file=sys.stderr)
        return code
    except ToonifyError as error:
        if debug:
            raise
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    except typer.TyperException as error:
        if message := _message(error):  # none where the help itself was the answer
            print(f"error: {message}; see `{_help_command(error)}`", file=sys.stderr)
        return error.exit_code
    except (KeyboardInterrupt, typer.Abort):
        print("interrupted", file=sys.stderr)
        return 130
    except (BrokenPipeError, SystemExit) as error:
        # Typer ends the program by itself where it is the first to meet a closed pipe.
        if isinstance(error, SystemExit) and not isinstance(error.__context__, BrokenPipeError):
            raise
        # `toonify styles | head -1` has read enough; what Python has left to flush goes nowhere.
        _forget_output(sys.stdout, sys.stderr)
        return _SIGPIPE
    except OSError as error:
        if debug:
            raise
        print(f"error: {describe(error)}", file=sys.stderr)
        try:
            sys.stdout.flush()
        except OSError:  # it is what failed, and Python would fail once more at the end
            _forget_output(sys.stdout)
        return 3
    except Exception as error:
        if debug:
            raise
        print(f"error: unexpected {type(error).__name__}: {one_line(error)}; --debug shows where", file=sys.stderr)
        return 3


def _forget_output(*streams: IO[str]) -> None:
    """Let what streams have left to flush go nowhere."""
    for stream in streams:
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def _as_options(arguments: list[str]) -> list[str]:
    """`toonify help COMMAND` and `toonify version`, as people type them, are --help and --version."""
    match arguments:
        case ["help", *words]:
            return [*words, "--help"]
        case ["version"]:
            return ["--version"]
    return arguments


def _of_today(word: str) -> str:
    """A word of the command line, with the name of today where it is an option's former one."""
    name, equals, value = word.partition("=")
    former = {flag(before): flag(after) for before, after in FORMER_NAMES.items()}
    return f"{former.get(name, name)}{equals}{value}" if name in former else word


def _message(error: typer.TyperException) -> str:
    """Typer's sentence as a part of ours, without the checker's own prefix."""
    return " ".join(error.format_message().split()).replace("Value error, ", "", 1).removesuffix(".")


def _help_command(error: typer.TyperException) -> str:
    context = getattr(error, "ctx", None)
    return f"{context.command_path if context else 'toonify'} --help"
