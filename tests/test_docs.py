"""README and docs/ are held to the program: what they name exists, and every command and option is told of."""

import re
import shlex
import tomllib
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import typer.main
from test_rooms import ROOMS

from toonify.cli import app

ROOT = Path(__file__).parents[1]
PAGES = {
    str(path.relative_to(ROOT)): path.read_text(encoding="utf-8")
    for path in sorted(
        [*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), ROOT / "weights/README.md", *ROOT.glob("recipes/*.md")]
    )
}
README = PAGES["README.md"]
GROUP = typer.main.get_group(app)

# Where each command is told of in full.
MANUAL = {
    "convert": "convert",
    "sheet": "convert",
    "doctor": "install",
    "serve": "serve",
    "styles": "styles",
    "prepare": "training-sets",
    "smooth-edges": "training-sets",
    "train": "train",
    "distill": "distill",
    "generate": "noise",
    "swap-layers": "noise",
    "export": "export",
    "fid": "measure",
    "evaluate": "measure",
    "study": "measure",
}
ALWAYS = {"--help", "-h", "--debug"}
UNSAID = {("fid",): ("fid", "compare")}  # `toonify fid A B` means the latter
# Options of other programs that the pages name.
FOREIGN = {"--head", "--num-cpus", "--nproc-per-node", "--array", "--cpus-per-task", "--check"}


def every_command() -> dict[tuple[str, ...], Any]:
    """The commands by the words that call them."""
    found = {}

    def visit(command: Any, words: tuple[str, ...]) -> None:
        found[words] = command
        for name, child in getattr(command, "commands", {}).items():
            if not child.hidden:  # old names that go on working
                visit(child, (*words, name))

    visit(GROUP, ())
    return found


COMMANDS = every_command()


def options_of(command: Any) -> set[str]:
    """All spellings of a command's options but old ones, which are hidden."""
    shown = [parameter for parameter in command.params if not getattr(parameter, "hidden", False)]
    return {
        name for parameter in shown for name in (*parameter.opts, *parameter.secondary_opts) if name.startswith("-")
    }


OPTIONS = {words: options_of(command) for words, command in COMMANDS.items()}


def shell_lines(text: str) -> Iterator[str]:
    """The commands in a page's code blocks, continuation lines joined."""
    blocks = "\n".join(re.findall(r"```(?:console|sh|bash)\n(.*?)```", text, re.DOTALL)).replace("\\\n", " ")
    for line in blocks.splitlines():
        for part in re.split(r"&&|\||;", re.sub(r"(^|\s)#.*", "", line)):
            yield re.sub(r"^\$ ", "", part.strip())


def samples() -> list[tuple[str, str]]:
    """Every `toonify ...` in code blocks, which is to be typed as it stands."""
    return [(page, line) for page, text in PAGES.items() for line in shell_lines(text) if line.startswith("toonify ")]


def mentions() -> list[tuple[str, str]]:
    """Every `toonify ...` in running text, which may leave arguments out."""
    return [(page, line) for page, text in PAGES.items() for line in re.findall(r"`(toonify [^`\n]+)`", text)]


def command_of(line: str) -> tuple[tuple[str, ...], list[str]]:
    """The command that a line calls, and its arguments."""
    words = shlex.split(line)[1:]
    command: tuple[str, ...] = ()
    while words and (*command, words[0]) in COMMANDS:
        command = (*command, words.pop(0))
    if command in UNSAID and words and not words[0].startswith("-"):
        command = UNSAID[command]
    return command, words


@pytest.mark.parametrize(("page", "line"), samples() + mentions())
def test_a_command_that_a_page_names_exists_with_its_options(page: str, line: str) -> None:
    command, words = command_of(line)
    assert command or words[0].startswith("-"), f"there is no `toonify {words[0]}`"
    used = {word.partition("=")[0] for word in words if re.match(r"--?[a-z]", word)}
    assert used <= OPTIONS[command] | OPTIONS[UNSAID.get(command, command)] | ALWAYS


@pytest.mark.parametrize(("page", "line"), samples())
def test_a_sample_command_parses(page: str, line: str, monkeypatch: pytest.MonkeyPatch) -> None:
    command, words = command_of(line)
    monkeypatch.setattr("toonify.cli.log.hush", lambda *_: None)
    for parameter in COMMANDS[command].params:  # what --quiet and --version do at once
        monkeypatch.setattr(parameter, "callback", None)
    COMMANDS[command].make_context(" ".join(command), words, resilient_parsing=False)


@pytest.mark.parametrize("command", [words for words in COMMANDS if words], ids=" ".join)
def test_every_command_is_told_of(command: tuple[str, ...]) -> None:
    assert f"toonify {' '.join(command)}" in PAGES[f"docs/{MANUAL[command[0]]}.md"]
    assert f"toonify {command[0]}" in README


@pytest.mark.parametrize(
    ("command", "option"),
    [(words, option) for words in COMMANDS for option in sorted(OPTIONS[words]) if words],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else value,
)
def test_every_option_is_told_of_where_its_command_is(command: tuple[str, ...], option: str) -> None:
    if option in ALWAYS or (option == "--recursive" and command == ("convert",)):  # which is what it does anyway
        return
    assert re.search(rf"(?<![\w-]){option}(?![\w-])", PAGES[f"docs/{MANUAL[command[0]]}.md"])


@cache
def known_options() -> frozenset[str]:
    scripts = "".join(path.read_text(encoding="utf-8") for path in ROOT.glob("tests/bench/*.py"))
    return frozenset().union(*OPTIONS.values(), ALWAYS, FOREIGN, re.findall(r"\"(--[\w-]+)\"", scripts))


@pytest.mark.parametrize("page", PAGES)
def test_every_option_that_a_page_names_exists(page: str) -> None:
    if page in ("CHANGELOG.md", "STYLE.md"):  # which tell of what was, and of what not to write
        return
    assert set(re.findall(r"(?<![\w-])--[a-z][\w-]*", PAGES[page])) <= known_options()


def heading_anchors(text: str) -> set[str]:
    """How forges name a page's headings in links."""
    headings = re.findall(r"^#+ (.+)$", re.sub(r"```.*?```", "", text, flags=re.DOTALL), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize(
    ("page", "target"),
    [
        (page, target)
        for page, text in PAGES.items()
        for target in re.findall(r"\]\((?!https?://)([^)]+)\)", re.sub(r"```.*?```", "", text, flags=re.DOTALL))
    ],
)
def test_a_link_inside_the_repository_leads_somewhere(page: str, target: str) -> None:
    path, _, anchor = target.partition("#")
    file = (ROOT / page).parent / path if path else ROOT / page
    assert file.exists()
    if anchor:
        assert anchor in heading_anchors(file.read_text(encoding="utf-8"))


@pytest.mark.parametrize(
    ("page", "path"),
    [
        (page, path)
        for page, text in PAGES.items()
        if page != "CHANGELOG.md"
        for path in re.findall(r"(?<![\w/.-])(?:toonify|tests|docs|recipes|weights|\.github|\.ci)/[\w./-]*\w", text)
        if "NAME" not in path
    ],
)
def test_a_file_of_the_repository_that_a_page_names_exists(page: str, path: str) -> None:
    assert (ROOT / path).exists()


def test_the_readme_is_short_and_leads_to_every_page() -> None:
    assert len(README.splitlines()) <= 150
    assert all(page in README for page in PAGES if page.startswith("docs/"))


def test_the_readmes_two_commands_are_the_ones_that_ci_runs() -> None:
    typed = [line for line in README.splitlines() if "pip install" in line and line.startswith("pip")]
    assert typed[0].startswith("pip install . && toonify convert ")
    assert typed[1:] == ["pip install -e '.[dev]' && pytest"]
    ci = (ROOT / ".ci/run").read_text(encoding="utf-8")
    assert "'^pip install \\. &&' README.md" in ci and "\"^pip install -e '\\.\\[dev\\]' &&\" README.md" in ci


def test_the_readme_of_the_package_has_no_link_that_leads_nowhere_outside_the_repository() -> None:
    hook = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["hatch"]["metadata"]["hooks"]
    shown = README
    for each in hook["fancy-pypi-readme"]["substitutions"]:
        shown = re.sub(each["pattern"], each["replacement"], shown)
    assert re.findall(r"\]\((?!https?://)", shown) == [] and "sheet.jpg" not in shown
    assert "convert (`docs/convert.md`)" in shown and "the styles shinkai" not in shown


def test_the_exit_codes_are_those_of_the_errors() -> None:
    from toonify.errors import ToonifyError, UsageError

    text = PAGES["docs/convert.md"]
    assert f"| {UsageError.exit_code} |" in text and f"| {ToonifyError.exit_code} |" in text


def test_the_card_and_the_look_are_told_of_field_by_field() -> None:
    from toonify.styles.card import Card, FileWeights, HubWeights, Training, Variant
    from toonify.styles.look import Grade, Lines, Look, Tones

    text = PAGES["docs/styles.md"].partition("## The card")[2]
    for struct in (Card, Variant, FileWeights, HubWeights, Look, Lines, Tones, Grade):
        for field in struct.__struct_fields__:
            assert re.search(rf"`{field}`|\"{field}\"", text), f"{struct.__name__}.{field}"
    told = text.partition("| `training` |")[2].partition("\n")[0]
    assert all(field in told for field in Training.__struct_fields__)


def test_python_tells_of_every_option_of_load_style() -> None:
    import inspect

    from toonify import load_style
    from toonify.drawing.plan import draw_options

    named = [*inspect.signature(load_style).parameters, *inspect.signature(draw_options).parameters]
    for option in set(named) - {"name", "options", "own_look"}:
        assert f"`{option}`" in PAGES["docs/python.md"]


def test_every_entry_of_a_table_is_told_of() -> None:
    from toonify.images.formats import FORMATS
    from toonify.methods import METHODS
    from toonify.metrics.table import CONTENT_METRICS, SET_METRICS
    from toonify.styles.find import shipped_styles

    for arch in set(METHODS) - {"distill"}:
        assert f"| `{arch}` |" in PAGES["docs/train.md"]
    for metric in SET_METRICS:
        assert f"| `{metric}` |" in PAGES["docs/measure.md"]
    for content in CONTENT_METRICS.values():
        assert content.figure.title in PAGES["docs/measure.md"].partition("## evaluate")[2]
    for name in FORMATS:
        assert re.search(rf"\| `--format` [^|]*\b{name}\b", PAGES["docs/convert.md"])
    for style in shipped_styles():
        assert f"| `{style}` |" in README and f"| `{style}` |" in PAGES["docs/styles.md"]


def test_the_map_has_every_room() -> None:
    told = re.findall(r"^\| (`[^|]+) \|", PAGES["docs/architecture.md"], re.MULTILINE)
    named = [room for line in told for room in re.findall(r"`(\w+)`", line)]
    assert named == [room for room in ROOMS if room != "__main__"]


@pytest.mark.parametrize("recipe", sorted(ROOT.glob("recipes/*.toml")), ids=lambda path: path.name)
def test_a_recipe_is_a_config_of_train(recipe: Path) -> None:
    from toonify.train.options import Options, make_options, read_config
    from toonify.train.settings import method_settings

    options = make_options(read_config(recipe.read_bytes(), str(recipe)), Options, where=recipe.name)
    method_settings(options)  # raises for what the method does not know
    assert f"toonify train --config recipes/{recipe.name}" in PAGES["docs/train.md"]
