"""How a training run shows itself on a terminal: a live table; elsewhere a line for each entry of its log."""

import sys
import time
from types import TracebackType
from typing import TYPE_CHECKING, Self

from rich.live import Live as Screen
from rich.table import Table

from toonify.cli.console import Console
from toonify.train.check import duration
from toonify.train.curves import tell_scores

if TYPE_CHECKING:
    from toonify.train.plan import Plan
    from toonify.train.record import Losses, Note, Scores


class Live:
    """A `Reporter` on stderr."""

    def __init__(self, plan: "Plan", *, quiet: bool) -> None:
        self._plan = plan
        self._quiet = quiet
        self._console = Console(stderr=True, highlight=False, soft_wrap=True, emoji=False)
        self._pace: float | None = None  # seconds a step takes, smoothed: a phase may be slower than the one before
        self._before: Losses | None = None
        self._scores = ""
        self._saved = ""
        self._started = time.perf_counter()
        self._entry: Losses | None = None  # the last, and the time that it left
        self._left = ""
        self._screen: Screen | None = None
        if self._console.is_terminal and not quiet:
            self._screen = Screen(console=self._console, get_renderable=self._table, refresh_per_second=2)

    def __enter__(self) -> Self:
        if self._screen is not None:
            self._screen.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._screen is not None:
            self._screen.stop()

    def on_losses(self, entry: "Losses", plan: "Plan") -> None:
        """Show a line of the log."""
        left = duration((plan.steps - entry.step) * self._seconds_per_step(entry))
        self._entry, self._left = entry, left
        if self._screen is not None:
            self._screen.refresh()
        elif not self._quiet:
            losses = ", ".join(f"{name} {value:.4g}" for name, value in entry.losses.items() if value is not None)
            self._say(
                f"step {entry.step}/{plan.steps}, epoch {entry.epoch} ({entry.phase}): {losses}; "
                f"{entry.images_per_second:.2f} images/s, {left} left"
            )

    def on_scores(self, entry: "Scores") -> None:
        """Show an evaluation."""
        self._scores = tell_scores(entry.evaluation)
        if self._screen is None and not self._quiet:
            self._say(f"step {entry.step}: {self._scores}")
        self._scores += f" (step {entry.step})"

    def on_note(self, entry: "Note") -> None:
        """Show what happened, even if only errors are wanted: pictures that are named are failures."""
        self._say(f"step {entry.step}: {entry.note}", style="yellow")

    def on_saved(self, step: int) -> None:
        """Remember when a checkpoint was written."""
        self._saved = f"step {step}, {time.strftime('%H:%M:%S')}"

    def _table(self) -> Table:
        """What is known now; the screen asks for it twice a second, so that the time moves."""
        table = Table(box=None, show_header=False, pad_edge=False)
        table.add_row("time", duration(time.perf_counter() - self._started))
        if (entry := self._entry) is None:
            table.add_row("step", f"the first of {self._plan.steps} are under way")
            return table
        table.add_row("epoch", f"{entry.epoch} of {self._plan.epochs} ({entry.phase})")
        table.add_row("step", f"{entry.step} of {self._plan.steps}")
        table.add_row("images/s", f"{entry.images_per_second:.2f}")
        table.add_row("time left", self._left)
        table.add_row("learning rate", f"{entry.learning_rate:.3g}")
        for name, value in entry.losses.items():
            table.add_row(name.replace("_", " "), "" if value is None else f"{value:.4g}")
        if self._scores:
            table.add_row("evaluation", self._scores)
        if self._saved:
            table.add_row("saved", self._saved)
        return table

    def _seconds_per_step(self, entry: "Losses") -> float:
        before, self._before = self._before, entry
        if before is None or entry.step <= before.step:
            return (entry.seconds or 0.0) / max(entry.step, 1)
        now = ((entry.seconds or 0.0) - (before.seconds or 0.0)) / (entry.step - before.step)
        smooth = self._pace is not None and entry.phase == before.phase
        self._pace = 0.9 * self._pace + 0.1 * now if smooth and self._pace is not None else now
        return self._pace

    def _say(self, line: str, style: str | None = None) -> None:
        self._console.print(line, style=style, markup=False)
        sys.stderr.flush()
