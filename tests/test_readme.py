"""The README is held to the truth: every command and option in it exists, every command is told of."""

import re
import shlex
from pathlib import Path

import pytest
import typer.main

from toonify.cli import app

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
GROUP = typer.main.get_group(app)


def console_lines() -> list[str]:
    """Every `toonify ...` command in the README: in code blocks (continuation lines joined) and in running text."""
    text = README.replace("\\\n", " ")
    blocks = "\n".join(re.findall(r"```(?:console|sh|bash)\n(.*?)```", text, re.DOTALL))
    commands = [part.strip() for line in blocks.splitlines() for part in re.split(r"&&|\||;", line.partition("#")[0])]
    commands = [re.sub(r"^\$ ", "", command) for command in commands]
    commands += re.findall(r"`(toonify [^`\n]+)`", text)
    return [command for command in commands if command.startswith("toonify ")]


def every_command() -> dict[tuple[str, ...], set[str]]:
    """The words of each command, and the options that it takes."""
    found = {}

    def visit(command: object, words: tuple[str, ...]) -> None:
        found[words] = {
            option for parameter in command.params for option in (*parameter.opts, *parameter.secondary_opts)
        }
        for name, child in getattr(command, "commands", {}).items():
            visit(child, (*words, name))

    visit(GROUP, ())
    return found


COMMANDS = every_command()
ALWAYS = {"--help", "-h", "--debug"}
UNSAID = {("fid",): ("fid", "compare")}  # `toonify fid A B` means the latter


@pytest.mark.parametrize("line", console_lines())
def test_a_command_in_the_readme_exists_with_its_options(line: str) -> None:
    words = shlex.split(line)[1:]
    command: tuple[str, ...] = ()
    for word in words:
        if (*command, word) not in COMMANDS:
            break
        command = (*command, word)
    assert command or words[0].startswith("-"), f"there is no `toonify {words[0]}`"
    command = UNSAID.get(command, command)
    used = {word.partition("=")[0] for word in words if re.match(r"--?[a-z]", word)}
    assert used <= COMMANDS[command] | ALWAYS


@pytest.mark.parametrize("command", [" ".join(words) for words in COMMANDS if words])
def test_every_command_is_told_of(command: str) -> None:
    assert f"toonify {command}" in README


@pytest.mark.parametrize("option", sorted(o for o in COMMANDS["convert",] if o.startswith("--")))
def test_every_option_of_convert_is_told_of(option: str) -> None:
    if option == "--recursive":
        option = "--no-recursive"
    assert f"`{option}" in README or f" {option}" in README


@pytest.mark.parametrize(
    "option",
    [
        "teacher",
        "photos",
        "output",
        "sizes",
        "start-from",
        "lpips-weights",
        "eval-metric",
        "gradient-weight",
        "deep-blocks",
        "lpips-weight",
        "optimizer",
    ],
)
def test_what_only_distill_has_is_told_of(option: str) -> None:
    section = README.partition("## distill\n")[2].partition("\n## ")[0]
    assert re.search(rf"--{option}(?![\w-])", section) and f"--{option}" in COMMANDS["distill",]


@pytest.mark.parametrize("target", re.findall(r"\]\((?!https?://|#)([^)]+)\)", README))
def test_every_link_into_the_repository_leads_somewhere(target: str) -> None:
    assert (ROOT / target.partition("#")[0]).exists()


def test_the_exit_codes_are_those_of_the_errors() -> None:
    from toonify.errors import ToonifyError, UsageError

    assert f"| {UsageError.exit_code} |" in README and f"| {ToonifyError.exit_code} |" in README
