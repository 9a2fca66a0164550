"""One of N parts of a list of jobs: every machine finds the same list and takes its own part."""

import os
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from toonify.errors import UsageError, display
from toonify.jobs.plan import AnyJob, ClipJob, Job, target_among_photos

OneJob = TypeVar("OneJob", Job, ClipJob)


@dataclass(frozen=True)
class Shard:
    """Part `index` of `count`, from 1 on."""

    index: int
    count: int

    def __str__(self) -> str:
        return f"{self.index}/{self.count}"


def parse_shard(text: str) -> Shard:
    """Read I/N. Raises UsageError unless 1 <= I <= N."""
    match = re.fullmatch(r"([0-9]{1,9})/([0-9]{1,9})", text)
    if match is None or not 1 <= int(match[1]) <= int(match[2]):
        raise UsageError(f"--shard {text}: give I/N with I from 1 to N, such as 1/8")
    return Shard(int(match[1]), int(match[2]))


def take_shard(jobs: Iterable[OneJob], shard: Shard) -> list[OneJob]:
    """Every N-th job in the order of the photos' paths, whatever the order in which the inputs were named.

    Each job is in one shard, and shards differ by one job at most.
    """
    in_order = sorted(jobs, key=lambda job: os.fsencode(job.source))
    return in_order[shard.index - 1 :: shard.count]


def check_shardable(jobs: Iterable[AnyJob], inputs: Iterable[Path], *, output: Path | None) -> None:
    """Raise UsageError if a picture would lie where a shard that starts later takes it for a photo.

    The shards' lists would not be the same. See `target_among_photos`.
    """
    if (target := target_among_photos(jobs, inputs, output=output)) is not None:
        raise UsageError(
            f"--shard: {display(target)} would lie among the photos, and later shards would draw it too; "
            "give an --output folder of its own"
        )
