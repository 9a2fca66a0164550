"""The course of a run: which step belongs to which epoch and phase, and how fast it learns there."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from toonify.methods.method import Phase, Schedule


@dataclass(frozen=True)
class Plan:
    """Steps count from 0. The schedule of the learning rate has no state: it follows from the number of the step."""

    phases: Sequence[Phase]
    steps_per_epoch: int
    schedule: Schedule
    limit: int | None = None  # of steps in all
    warm_up: int = 0  # first steps of the last phase, in which the rate rises to what the schedule says

    @property
    def steps(self) -> int:
        """All steps of the run."""
        whole = self.steps_per_epoch * sum(phase.epochs for phase in self.phases)
        return whole if self.limit is None else min(whole, self.limit)

    @property
    def epochs(self) -> int:
        """All epochs of the run, counting a last one that the limit cuts short."""
        return -(-self.steps // self.steps_per_epoch)

    def epoch(self, step: int) -> int:
        """The epoch of a step, from 0."""
        return step // self.steps_per_epoch

    def phase(self, step: int) -> str:
        """The phase of a step."""
        return self._locate(step)[0].name

    def progress(self, step: int) -> float:
        """The part of its phase that is done before a step, 0..1."""
        phase, into = self._locate(step)
        return min(1.0, into / max(1, phase.epochs * self.steps_per_epoch))

    def rate_factor(self, step: int) -> float:
        """What the learning rate is multiplied with: 1 in all phases but the last, over which the schedule runs."""
        phase, into = self._locate(step)
        if phase is not self.phases[-1]:
            return 1.0
        progress = into / (phase.epochs * self.steps_per_epoch)
        warm = min(1.0, (into + 1) / (self.warm_up + 1))
        if self.schedule == "constant":
            return warm
        if self.schedule == "cosine":
            return warm * (1 + math.cos(math.pi * progress)) / 2
        return warm * min(1.0, 2 * (1 - progress))  # linear: CycleGAN, section 7.2, from the middle on to 0

    def _locate(self, step: int) -> tuple[Phase, int]:
        """The phase of a step, and the steps of that phase before it."""
        for phase in self.phases[:-1]:
            length = phase.epochs * self.steps_per_epoch
            if step < length:
                return phase, step
            step -= length
        return self.phases[-1], step
