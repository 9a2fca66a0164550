"""What commands tell while they run: a live bar on a terminal, plain lines elsewhere, failures at the end."""

import contextlib
import sys
import time
import traceback
from collections import Counter
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.progress import Progress as Bar

from toonify.cli.console import Console
from toonify.errors import ToonifyError, counted, display

if TYPE_CHECKING:
    from toonify.jobs.outcome import Outcome, Result
    from toonify.jobs.plan import ClipJob, Job

_FAILURES = ("failed", "incomplete")


@contextlib.contextmanager
def count_bar(title: str, total: int, *, quiet: bool) -> Iterator[Callable[[float], None]]:
    """A bar on stderr that is advanced by files or parts of them; on a terminal only, and gone at the end."""
    console = Console(stderr=True)
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    with Bar(*columns, console=console, transient=True, disable=quiet or not console.is_terminal) as bar:
        task = bar.add_task(display(title), total=total)
        yield lambda count: bar.advance(task, count)


def beside(others: str) -> str:
    """The end of a line that counts pictures: what else lies in their folders, which is left alone."""
    return f"; not read: {others}" if others else ""


class Progress:
    """Shows a batch's outcomes as they come, on stderr: stdout stays free for data."""

    def __init__(
        self, total: int, *, quiet: bool, debug: bool, done: "Result" = "drawn", with_target: bool = False
    ) -> None:
        """`with_target`: failures are named with their picture, too, where a photo has several."""
        self._done = done
        self._with_target = with_target
        self._quiet = quiet
        self._debug = debug
        self._console = Console(stderr=True, highlight=False, soft_wrap=True, emoji=False)
        self._total = total
        self._started = time.perf_counter()
        self._megapixels = 0.0
        self._failed = 0
        self._given_up: list[str] = []
        self._ended: BaseException | None = None
        self._shares: dict[Path, float] = {}  # of the pictures that are being drawn
        self._begun: dict[Path, tuple[float, int]] = {}  # of each video, when, and with which frame, it was begun
        self._shown = 0
        self._bar: Bar | None = None
        if self._console.is_terminal and not quiet:
            self._bar = Bar(
                BarColumn(bar_width=20),
                MofNCompleteColumn(),
                TimeElapsedColumn(),
                TextColumn("{task.fields[now]}", markup=False),
                TextColumn("{task.fields[rate]}"),
                TimeRemainingColumn(),
                TextColumn("{task.fields[failures]}", style="red"),
                console=self._console,
                transient=True,
            )
            self._task = self._bar.add_task("", total=total, rate="", failures="", now="")

    def __enter__(self) -> Self:
        self._started = time.perf_counter()
        if self._bar is not None:
            self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.stop()

    def show(self, outcome: "Outcome") -> None:
        """Take note of one more file."""
        if outcome.result == self._done and outcome.width and outcome.height:
            self._megapixels += outcome.width * outcome.height * outcome.clip.get("frames", 1) / 1e6
        self._failed += outcome.result in _FAILURES
        if self._bar is not None:
            failures = f"{self._failed} failed" if self._failed else ""
            self._shown += 1
            self._shares.pop(outcome.source, None)
            self._bar.update(self._task, rate=self._rate(), failures=failures)
            self._show_shares()
        if outcome.result in _FAILURES:
            self._say(self._failure(outcome), style="red", even_if_quiet=True)
            if self._debug and outcome.error is not None:
                traceback.print_exception(outcome.error, file=sys.stderr)
        elif outcome.result == "kept":  # why is said once, at the end
            self._say(_arrow(outcome), style="yellow")
        elif outcome.notes:
            remarks = "; ".join(filter(None, [outcome.reason, *outcome.notes]))
            self._say(f"{_arrow(outcome)} ({remarks})", style="yellow")
        elif self._bar is None:
            self._say(f"{_arrow(outcome)} ({_sizes(outcome) or outcome.reason})")

    @property
    def on_share(self) -> "Callable[[Job, float], None] | None":
        """What is told how much of a photo is drawn, in any thread; None where nobody sees it."""
        return None if self._bar is None else self._note_share

    def _note_share(self, job: "Job", share: float) -> None:
        self._shares[job.source] = share
        self._show_shares()

    @property
    def on_frame(self) -> "Callable[[ClipJob, int, float], None] | None":
        """What is told how many frames of a video, and what part of it, are drawn; None where nobody sees it."""
        return None if self._bar is None else self._note_frame

    def _note_frame(self, job: "ClipJob", frames: int, share: float) -> None:
        began = self._begun.setdefault(job.source, (time.perf_counter(), frames))
        self._shares[job.source] = min(share, 0.999)  # the last part of a video is put together with its sound
        self._show_shares()
        seconds = time.perf_counter() - began[0]
        if self._bar is not None and seconds > 0.5:
            pace = f"{(frames - began[1]) / seconds:.1f} frames/s"
            what = f"{100 * share:.0f} % of {display(job.source.name)[:24]}, {frames} frames"
            self._bar.update(self._task, now=what, rate=pace)

    def _show_shares(self) -> None:
        """Count the pictures that are being drawn by what is done of them, and name the last that is not yet drawn."""
        assert self._bar is not None  # noqa: S101 - whoever calls has seen to it
        shares = dict(self._shares)
        drawing = [f"{100 * share:.0f} % of {display(path.name)[:24]}" for path, share in shares.items() if share < 1]
        finishing = [f"finishing {display(path.name)[:24]}" for path, share in shares.items() if share >= 1]
        # Drawing is not all that there is to a picture, and a bar at its end would say that it is.
        completed = min(self._total, self._shown + 0.9 * sum(shares.values()))
        self._bar.update(self._task, completed=completed, now=(drawing + finishing + [""])[0])

    def follow(self, outcomes: "Generator[Outcome]") -> "list[Outcome]":
        """Show outcomes as they come, and return them; also where Ctrl-C, or an error that is no file's, ends them."""
        seen = []
        try:
            for outcome in outcomes:
                seen.append(outcome)
                self.show(outcome)
        except (KeyboardInterrupt, ToonifyError) as error:
            self._ended = error
        finally:
            outcomes.close()  # its threads end; nobody else would do it, for the error that is kept knows of it
        return seen

    def exit_code(self) -> int:
        """That of the command. Raises the error that has ended the batch, if one has."""
        if isinstance(self._ended, ToonifyError):
            raise self._ended
        if self._ended is not None:
            return 130
        return 3 if self._given_up else 1 if self._failed else 0

    def summarize(self, outcomes: "list[Outcome]", others: str = "") -> None:
        """Say how many files came to what, and name the failed ones once more where a long list lies between.

        `others` is what else lies in the folders.
        """
        counts = Counter(outcome.result for outcome in outcomes)
        parts = [f"{counts[self._done]} {self._done}"]
        parts += [
            f"{counts[result]} {result}" for result in ("skipped", "kept", "incomplete", "failed") if counts[result]
        ]
        if self._ended is not None:
            how = "interrupted" if isinstance(self._ended, KeyboardInterrupt) else "ended"
            parts.append(f"{how} with {self._total - len(outcomes)} to go")
        seconds = time.perf_counter() - self._started
        way_on = "" if self._ended is None else "; the same command goes on from here"
        rate = f", {self._rate()}" if self._megapixels else ""
        self._say(f"{', '.join(parts)} in {seconds:.1f} s{rate}{way_on}{beside(others)}")
        for reason, count in Counter(outcome.reason for outcome in outcomes if outcome.result == "kept").items():
            self._say(f"  {count} kept: {reason}", style="yellow")
        failed = [outcome for outcome in outcomes if outcome.result in _FAILURES]
        if len(outcomes) > len(failed):
            for line in [*map(self._failure, failed), *self._given_up]:
                self._say(f"  {line}", style="red")

    def give_up(self, what: str, reason: str, count: int) -> None:
        """Say that `count` files are not worked on, and why; the exit code becomes 3."""
        self._total -= count
        if self._bar is not None:
            self._bar.update(self._task, total=self._total)
        self._given_up.append(f"not drawn: {what}: {reason}")
        self._say(self._given_up[-1], style="red", even_if_quiet=True)

    def _failure(self, outcome: "Outcome") -> str:
        has_target = self._with_target or outcome.result == "incomplete"
        what = _arrow(outcome) if has_target else f"failed: {display(outcome.source)}"
        return f"{what}: {outcome.reason}"

    def _rate(self) -> str:
        return f"{self._megapixels / (time.perf_counter() - self._started):.2f} megapixels/s"

    def _say(self, line: str, style: str | None = None, *, even_if_quiet: bool = False) -> None:
        if even_if_quiet or not self._quiet:
            self._console.print(line, style=style, markup=False)


def _sizes(outcome: "Outcome") -> str:
    """The photo's size, the picture's where it is another, its frames if it moves, and the time that it took."""
    if not outcome.width:
        return ""
    size, picture = f"{outcome.width} x {outcome.height}", f"{outcome.output_width} x {outcome.output_height}"
    other = f" to {picture}" if outcome.output_width and picture != size else ""
    frames = f"{counted(outcome.clip['frames'], 'frame')} of " if "frames" in outcome.clip else ""
    return f"{frames}{size}{other}, {outcome.seconds:.1f} s"


def _arrow(outcome: "Outcome") -> str:
    return f"{outcome.result}: {display(outcome.source)} -> {display(outcome.target)}"
