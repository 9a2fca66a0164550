"""Where things live: the packages from top to bottom, and no import that runs back up."""

import ast
from collections.abc import Iterator
from pathlib import Path

import toonify

ROOT = Path(toonify.__file__).parent

# From what uses to what is used. A module may import from its own room and from those after it.
ROOMS = [
    "__main__",
    "cli",
    "doctor",
    # commands
    "study",
    "evaluate",
    "distill",
    "train",
    "generate",
    "prepare",
    "serve",
    "convert",
    # knowledge
    "methods",
    "metrics",
    # machinery
    "drawing",
    "transfer",
    "networks",
    "models",
    "checkpoints",
    "styles",
    "engines",
    "graphs",
    # tools
    "pages",
    "jobs",
    "videos",
    "images",
    "pixels",
    "system",
    "errors",
    "version",
]


def modules() -> Iterator[tuple[Path, str]]:
    """Every module below the front door (`toonify/__init__.py`), and the room that it is in."""
    for path in sorted(ROOT.rglob("*.py")):
        parts = path.relative_to(ROOT).with_suffix("").parts
        if parts != ("__init__",):
            yield path, parts[0]


def imported_rooms(path: Path) -> Iterator[tuple[int, str]]:
    """Line and room of each import, wherever in the file it stands."""
    for node in ast.walk(ast.parse(path.read_text())):
        if not isinstance(node, ast.Import | ast.ImportFrom):
            continue
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        else:
            assert node.level == 0, f"{path}:{node.lineno} imports relatively"
            inside = [f"toonify.{alias.name}" for alias in node.names]
            names = inside if node.module == "toonify" else [node.module or ""]
        for name in names:
            package, _, rest = name.partition(".")
            if package == "toonify":
                yield node.lineno, rest.partition(".")[0] or "__init__"


def test_every_module_has_its_room_in_the_table() -> None:
    assert sorted({room for _, room in modules()}) == sorted(ROOMS)


def test_no_import_runs_back_up() -> None:
    """Nor into the front door, which takes what is heavy from all the house."""
    up = [
        f"{path.relative_to(ROOT)}:{line} imports {target}"
        for path, room in modules()
        for line, target in imported_rooms(path)
        if target not in ROOMS[ROOMS.index(room) :]
    ]
    assert up == []


def test_the_hall_is_small() -> None:
    packages = [room for room in ROOMS if (ROOT / room).is_dir()]
    assert len(list(ROOT.glob("*.py"))) <= 12 and len(packages) <= 22 + 4  # serve, transfer, videos, generate
    for room in packages:
        assert ast.get_docstring(ast.parse((ROOT / room / "__init__.py").read_text())), (
            f"{room} does not say what it is"
        )


def test_tests_lie_in_the_rooms_that_they_are_of() -> None:
    """What is of several rooms lies in the highest of them; of the whole house, beside this file."""
    folder = Path(__file__).parent
    found = {path.parent.name for path in folder.glob("*/test_*.py")}
    assert found <= {room for room in ROOMS if (ROOT / room).is_dir()}
    assert {path.name for path in folder.glob("test_*.py")} == {"test_benchmarks.py", "test_docs.py", "test_rooms.py"}
