"""Help: names whole at 80 columns, sections, no types for their own sake; words that people type."""

import re
from typing import Any

import pytest
import typer.main

from toonify.cli import app, main
from toonify.cli.options import complete_style
from toonify.version import __version__


def every_command() -> list[tuple[str, ...]]:
    found: list[tuple[str, ...]] = []

    def visit(command: object, words: tuple[str, ...]) -> None:
        found.append(words)
        for name, child in getattr(command, "commands", {}).items():
            visit(child, (*words, name))

    visit(typer.main.get_group(app), ())
    return found


def help_of(words: tuple[str, ...], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> str:
    monkeypatch.setenv("COLUMNS", "80")
    assert main([*words, "--help"]) == 0
    return capsys.readouterr().out


@pytest.mark.parametrize("words", every_command(), ids=" ".join)
def test_names_are_whole_and_types_are_left_out(words: tuple[str, ...], monkeypatch, capsys) -> None:
    text = help_of(words, monkeypatch, capsys)
    command: Any = typer.main.get_group(app)
    for word in words:
        command = command.commands[word]
    said = re.findall(r"--?[a-z][\w-]*", text)
    for parameter in command.params:
        for name in (*parameter.opts, *parameter.secondary_opts):
            assert not name.startswith("-") or name in said
    assert max(map(len, text.splitlines())) <= 80
    assert "<bool>" not in text and "range" not in text.lower().replace("ranges", "") and "…" not in text


@pytest.mark.parametrize("words", every_command(), ids=" ".join)
def test_many_options_stand_in_sections_and_no_line_ends_in_spaces(words: tuple[str, ...], monkeypatch, capsys) -> None:
    lines = help_of(words, monkeypatch, capsys).splitlines()
    assert all(line == line.rstrip() for line in lines)
    sections: dict[str, int] = {}
    title = ""
    for line in lines:
        if re.fullmatch(r"[A-Z][\w ,']*", line):
            title = line
        elif line.startswith("  -"):
            sections[title] = sections.get(title, 0) + 1
    assert sections["Options"] <= 6


def test_convert_has_sections(monkeypatch, capsys) -> None:
    lines = help_of(("convert",), monkeypatch, capsys).splitlines()
    assert [line.strip() for line in lines if re.fullmatch(r"[A-Z][a-z ]+\s*", line)][:7] == [
        "Arguments",
        "Style",
        "Pictures",
        "How they are drawn",
        "Videos",
        "Running",
        "Options",
    ]


def test_the_help_of_fid_shows_the_options_of_its_main_use(monkeypatch, capsys) -> None:
    text = help_of(("fid",), monkeypatch, capsys)
    assert "--metrics" in text and "--kid-subset" in text and "SET... REFERENCE" in text


def test_help_and_version_are_words_too(capsys) -> None:
    assert main(["help", "convert"]) == 0
    assert capsys.readouterr().out.startswith("Usage: toonify convert ")
    assert main(["help"]) == 0
    assert capsys.readouterr().out.startswith("Usage: toonify ")
    assert main(["version"]) == 0
    assert capsys.readouterr().out == f"toonify {__version__}\n"


def test_styles_list_is_what_styles_prints(capsys) -> None:
    assert main(["styles"]) == 0
    alone = capsys.readouterr().out
    assert main(["styles", "list"]) == 0
    assert capsys.readouterr().out == alone and "shinkai" in alone


def test_the_shell_completes_names_of_styles() -> None:
    assert complete_style("H") == ["hayao", "hosoda"] and complete_style("x") == []
