"""Help that can be read on 80 columns: names are whole, options stand in sections, and types are left out."""

import contextlib
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Literal, get_args, get_origin

import typer
from rich.console import RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text
from typer.core import TyperArgument, TyperCommand, TyperGroup, TyperOption

from toonify.cli.console import Console
from toonify.cli.options import RUNNING

_NAMES = 30  # columns that names and values may take, before they go on in the next line
_WIDTH = 100  # of the page: longer lines are hard to read
_LARGE = 10_000  # a limit beyond which nobody comes, and which need not be told
_CHOICES = 22  # characters of choices that are told beside the name; more of them are told in the text


class Command(TyperCommand):
    """A command with help of this kind."""

    def format_help(self, ctx: Any, formatter: Any) -> None:
        _print(self, ctx)


class Group(TyperGroup):
    """A group of commands with help of this kind."""

    def format_help(self, ctx: Any, formatter: Any) -> None:
        _print(self, ctx, self.commands)


class App(typer.Typer):
    """A Typer app whose commands are of this kind."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**{"cls": Group, "no_args_is_help": True, **options})

    def command(self, name: str | None = None, **options: Any) -> Callable[[Any], Any]:
        """As `Typer.command`."""
        return super().command(name, **{"cls": Command, **options})


def _print(command: Any, ctx: Any, commands: Mapping[str, Any] | None = None) -> None:
    console = make_console()
    takes = [each.metavar or each.name.upper() for each in command.params if isinstance(each, TyperArgument)]
    _say(
        console, " ".join(["Usage:", ctx.command_path, "[OPTIONS]", *(takes if commands is None else ["COMMAND ..."])])
    )
    for paragraph in (command.help or "").split("\n\n"):
        _say(console, " ".join(paragraph.split()))
    print_parameters(console, command, ctx)
    if commands is not None:
        rows = [(name, each.help or "") for name, each in commands.items() if not each.hidden]
        _section(console, "Commands", ((Text(name, "bold cyan"), _first_sentence(text)) for name, text in rows))
    if command.epilog:
        _say(console, command.epilog)


def make_console() -> Console:
    """Where help is printed: stdout, not too wide."""
    console = Console(highlight=False)
    console.width = min(console.width, _WIDTH)
    return console


def print_parameters(console: Console, command: Any, ctx: Any) -> None:
    """Print a command's arguments and options, section by section; what is in none comes last."""
    sections: dict[str, list[tuple[RenderableType, RenderableType]]] = {}
    for parameter in command.get_params(ctx):
        if getattr(parameter, "hidden", False):
            continue
        title = "Arguments" if isinstance(parameter, TyperArgument) else parameter.rich_help_panel or "Options"
        sections.setdefault(title, []).append((_names(parameter), _text(parameter)))
    last = [(title, sections.pop(title)) for title in (RUNNING, "Options") if title in sections]
    for title, rows in [*sections.items(), *last]:
        _section(console, title, rows)


def _say(console: Console, text: str) -> None:
    if text:
        console.print(Padding(Text(text), (0, 0, 1, 0), expand=False))


def _section(console: Console, title: str, rows: Iterable[tuple[RenderableType, RenderableType]]) -> None:
    table = Table.grid(padding=(0, 2, 0, 0))
    table.add_column(no_wrap=True, min_width=_NAMES)
    table.add_column()
    for row in rows:
        table.add_row(*row)
    console.print(Text(title, "bold"))
    console.print(Padding(table, (0, 0, 1, 2), expand=False))


def _names(parameter: Any) -> Text:
    """The names of an option with what it takes, or an argument; in as many lines as they need."""
    if isinstance(parameter, TyperArgument):
        return Text(parameter.metavar or parameter.name.upper(), "bold cyan")
    short = [name for name in parameter.opts if not name.startswith("--")]
    long = [name for name in (*parameter.opts, *parameter.secondary_opts) if name.startswith("--")]
    words = [*short, *long]
    if (value := _value(parameter)) is not None:
        words[-1] += f" {value}"
    lines = [words[0]]
    for word in words[1:]:
        if len(lines[-1]) + 2 + len(word) <= _NAMES:
            lines[-1] += f", {word}"
        else:
            lines[-1] += ","
            lines.append(word)
    return Text("\n".join(lines), "bold cyan")


def _value(parameter: TyperOption) -> str | None:
    """What an option takes, in a word; None for one that is there or not."""
    if parameter.is_flag:
        return None
    if parameter.metavar is not None:
        return str(parameter.metavar)
    if choices := _choices(parameter):
        told = "|".join(choices)
        return told if len(told) <= _CHOICES else "NAME"
    if parameter.min is not None and parameter.max is not None and parameter.max <= _LARGE:
        return f"{parameter.min:g}..{parameter.max:g}"
    kind = _kind(parameter)
    return "N" if kind in (int, float) else "PATH" if kind is not str else "TEXT"


def _text(parameter: Any) -> Text:
    """What a parameter is for, its choices where they are many, and its default."""
    parts = [parameter.help or ""]
    if isinstance(parameter, TyperOption):
        choices = _choices(parameter)
        if choices and _value(parameter) == "NAME":
            parts.append(f"One of {', '.join(choices)}.")
        default = parameter.default
        if parameter.required:
            parts.append("Needed.")
        elif default is True and parameter.secondary_opts:
            parts.append(f"[default: {parameter.opts[0]}]")
        elif parameter.show_default and default not in (None, "") and not isinstance(default, bool | Callable):
            parts.append(f"[default: {default:g}]" if isinstance(default, float) else f"[default: {default}]")
    return Text(" ".join(filter(None, parts)))


def _kind(parameter: Any) -> Any:
    """The type of a parameter's value, of one of several."""
    kind = parameter.type_descriptor.annotation
    with contextlib.suppress(AttributeError, IndexError, TypeError):
        while get_origin(kind) is not None and get_origin(kind) is not Literal:
            kind = next(each for each in get_args(kind) if each is not type(None))
    return kind


def _choices(parameter: Any) -> tuple[str, ...]:
    kind = _kind(parameter)
    return tuple(map(str, get_args(kind))) if get_origin(kind) is Literal else ()


def _first_sentence(text: str) -> Text:
    first = " ".join(text.partition("\n\n")[0].split())
    head, dot, _ = first.partition(". ")
    return Text(head + dot.strip())
