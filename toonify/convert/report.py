"""The report of a run of `convert`, as JSON."""

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from toonify.convert.batches import Batch
from toonify.errors import ToonifyError, UsageError, display
from toonify.system.files import write_atomically
from toonify.version import __version__


def write_report(path: Path, batches: Sequence[Batch]) -> None:
    """Write what happened as JSON: what pictures were drawn with and on, and a record for each file.

    Of one batch the former stands at the top; of several it is a list, `drawings`, and a file's record names its style
    and look. Raises UsageError if something other than an earlier report is in the place.
    """
    check_report(path)
    report: dict[str, Any] = {"toonify": __version__}
    if len(batches) == 1:
        (batch,) = batches
        report |= _drawing(batch)
        report["files"] = [outcome.record() for outcome in batch.outcomes]
    else:
        names = [{"style": batch.plan.style.card.id, "look": batch.combination.look} for batch in batches]
        report["drawings"] = [
            # None in place of a problem: all that could be drawn was
            name | _drawing(batch) | {"problem": batch.problem}
            for name, batch in zip(names, batches, strict=True)
        ]
        report["files"] = [
            name | outcome.record() for name, batch in zip(names, batches, strict=True) for outcome in batch.outcomes
        ]
    try:
        write_atomically(path, (json.dumps(report, indent=1) + "\n").encode(), overwrite=True)
    except OSError as error:
        raise ToonifyError(f"--report {display(path)} cannot be written: {error.strerror}") from error


def _drawing(batch: Batch) -> dict[str, Any]:
    """What the pictures of a batch were drawn with and on."""
    return {
        "style": batch.plan.style.card.id,
        "variant": batch.plan.style.name,
        # None where there was nothing to draw; several in a cluster of unlike machines
        **{
            key: ", ".join(sorted({vars(each)[key] for each in batch.ran_on})) or None
            for key in ("device", "engine", "provider")
        },
        "options": msgspec.to_builtins(batch.plan.options),
    }


def check_report(path: Path) -> None:
    """Raise UsageError unless a report can be written to `path`: a free name, or that of an earlier report.

    It ends in .json, so that it can lie neither in the place of a picture nor, later, among the photos.
    """
    if path.suffix.lower() != ".json":
        raise UsageError(f"--report {display(path)}: give a name that ends in .json")
    if not path.parent.is_dir() or not os.access(path.parent, os.W_OK):
        raise UsageError(f"--report {display(path)}: its folder is not there or cannot be written; give another")
    if not os.path.lexists(path):
        return
    try:
        earlier = json.loads(path.read_bytes()) if path.is_file() else None
    except (OSError, ValueError, RecursionError):
        earlier = None
    if not (isinstance(earlier, dict) and {"toonify", "files"} <= earlier.keys()):
        raise UsageError(f"--report {display(path)}: something else is in that place; give another name")
