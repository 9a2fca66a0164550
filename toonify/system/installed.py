"""Packages in this environment: which are there, and what to type for an optional part of toonify."""

import importlib.metadata
from pathlib import Path

from toonify.errors import display

# Of the package that holds toonify. `toonify` alone is another project's on the package index (a serializer), so that
# no message may tell anybody to install that.
DISTRIBUTION = "toonify-anime"


def installed_version(distribution: str) -> str | None:
    """The version of a distribution in this environment; None if it is not installed."""
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return None


def has_command(distribution: str, command: str) -> bool:
    """Whether an installed distribution brings a command of that name. Raises PackageNotFoundError if there is none."""
    entries = importlib.metadata.distribution(distribution).entry_points
    return any(entry.group == "console_scripts" and entry.name == command for entry in entries)


def install_extra(extra: str) -> str:
    """What to type for an optional part of toonify, such as "ray".

    pip takes the extras of an installed package from that package, wherever it was installed from (a checkout, a wheel
    or an index). A checkout that is not installed is named by its path.
    """
    place = DISTRIBUTION
    if installed_version(DISTRIBUTION) is None:
        checkout = Path(__file__).parents[2]
        if (checkout / "pyproject.toml").is_file():
            place = display(checkout)
    return f'pip install "{place}[{extra}]"'  # cmd.exe knows double quotes alone
