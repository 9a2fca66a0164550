"""The distribution's name, what it takes to install an optional part, and what doctor says of a namesake."""

import importlib.metadata
import os
import re
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest

from toonify.cli import main
from toonify.system.installed import DISTRIBUTION, has_command, install_extra, installed_version

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


@pytest.fixture
def environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Installs packages that are nothing but a name, a version and commands, in an environment with nothing else."""
    monkeypatch.setattr("sys.path", [str(tmp_path)])

    def install(name: str, version: str, *commands: str) -> None:
        folder = tmp_path / f"{name.replace('-', '_')}-{version}.dist-info"
        folder.mkdir()
        (folder / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
        lines = [f"{command} = somewhere:main" for command in commands]
        (folder / "entry_points.txt").write_text("\n".join(["[console_scripts]", *lines]))
        importlib.invalidate_caches()

    return install


def test_the_distribution_has_the_name_of_the_project_file_and_the_command_its_own() -> None:
    assert PROJECT["name"] == DISTRIBUTION
    assert PROJECT["scripts"] == {"toonify": "toonify.cli:main"}


def test_an_extra_of_an_installed_package_is_named_by_it(environment: Callable[..., None]) -> None:
    environment(DISTRIBUTION, "0.1.0", "toonify")
    assert installed_version(DISTRIBUTION) == "0.1.0" and has_command(DISTRIBUTION, "toonify")
    assert install_extra("ray") == f'pip install "{DISTRIBUTION}[ray]"'


def test_an_extra_of_a_checkout_that_is_not_installed_is_named_by_its_path(environment: Callable[..., None]) -> None:
    assert installed_version(DISTRIBUTION) is None
    assert install_extra("ray") == f'pip install "{ROOT}[ray]"'


def test_every_extra_that_a_message_names_exists() -> None:
    named = {
        extra
        for path in (ROOT / "toonify").rglob("*.py")
        for extra in re.findall(r"install_extra\(['\"](\w+)['\"]\)", path.read_text(encoding="utf-8"))
    }
    assert named == set(PROJECT["optional-dependencies"]) - {"dev"}


def test_no_text_tells_anybody_to_install_the_namesake() -> None:
    texts = [ROOT / "README.md", *(ROOT / "toonify").rglob("*.py"), *ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")]
    for path in texts:
        assert not re.search(r"pip install (-\S+ )*['\"]?toonify\b(?!-)", path.read_text(encoding="utf-8")), path


@pytest.mark.parametrize(
    ("commands", "said"), [((), "is another project's"), (("toonify",), "is an older toonify, from before")]
)
def test_doctor_notices_the_namesake(
    commands: tuple[str, ...],
    said: str,
    environment: Callable[..., None],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    from toonify import doctor

    environment(DISTRIBUTION, "0.1.0", "toonify")
    monkeypatch.setattr(doctor, "examine_installation", doctor._toonify)
    assert main(["doctor"]) == 0
    assert capsys.readouterr().out.count(os.linesep) == 1
    environment("toonify", "1.6.0", *commands)
    assert main(["doctor"]) == 0
    told = capsys.readouterr().out
    assert f"the package toonify 1.6.0 {said}" in told and "pip uninstall -y toonify, " in told
