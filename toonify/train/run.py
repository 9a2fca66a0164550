"""Where a training run stands, from its first step to its last: all that a checkpoint holds and a loop changes."""

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch

from toonify.errors import UsageError
from toonify.methods.method import Method
from toonify.styles.card import Card, Training
from toonify.system import distributed
from toonify.train.evaluation import Evaluation
from toonify.train.folder import FORMAT, RunFolder, plain
from toonify.train.options import RunOptions
from toonify.train.pictures import Folders
from toonify.train.plan import Plan
from toonify.train.samples import Samples


class Tally:
    """The losses of the steps since the last line of the log, as sums."""

    def __init__(self) -> None:
        self.steps = 0
        self.seconds = 0.0
        self._sums: dict[str, tuple[torch.Tensor, int]] = {}  # by name: the sum, and how many steps have that loss

    def add(self, losses: Mapping[str, torch.Tensor]) -> None:
        """Count a step, without waiting for the device."""
        self.steps += 1
        for name, loss in losses.items():
            before, count = self._sums.get(name, (0.0, 0))
            self._sums[name] = (before + loss.double(), count + 1)

    def means(self) -> dict[str, float]:
        """The mean of each loss, over all processes; all must call this."""
        if not self._sums:
            return {}
        names = sorted(self._sums)
        means = torch.stack([self._sums[name][0] / self._sums[name][1] for name in names])
        return dict(zip(names, distributed.average(means).tolist(), strict=True))

    def state_dict(self) -> dict[str, Any]:
        """All of it, for a checkpoint."""
        return {"steps": self.steps, "seconds": self.seconds, "sums": dict(self._sums)}

    def load_state_dict(self, state: Mapping[str, Any], device: str) -> None:
        """Go on from `state_dict`."""
        self.steps, self.seconds = state["steps"], state["seconds"]
        self._sums = {name: (total.to(device), count) for name, (total, count) in state["sums"].items()}


@dataclass
class Run:
    """A run, wherever it stands."""

    options: RunOptions
    folder: RunFolder
    folders: Folders
    method: Method
    plan: Plan
    workers: int
    samples: Samples
    evaluation: Evaluation | None
    card: Callable[[Training], Card]  # of the style, with one variant whose weights are still to be written
    best_variant: str = "best"  # of the style: what was best so far
    last_variant: str | None = "last"  # None: only the best is kept, the last where there is no better
    perceptual: Mapping[str, str] = field(default_factory=dict)  # fingerprints of perceptual networks, by option
    parts: int = 1  # in which a batch goes through the networks
    step: int = 0  # the next
    seconds: float = 0.0  # of training so far
    tally: Tally = field(default_factory=Tally)
    best: dict[str, Any] | None = None  # {"step": ..., "scores": ...}
    scores: dict[str, float] = field(default_factory=dict)  # of the last evaluation, if it was of this very step
    ancestors: list[str] = field(default_factory=list)  # fingerprints of the weights that it began with

    def variants(self, improved: bool) -> list[str]:
        """The variants of the style that are written now; `improved`: an evaluation found it the best so far."""
        best = improved or (self.last_variant is None and self.best is None)
        return [self.best_variant] * best + ([] if self.last_variant is None else [self.last_variant])

    @property
    def finished(self) -> bool:
        """Whether all steps are done."""
        return self.step >= self.plan.steps

    def checkpoint(self) -> dict[str, Any]:
        """All that a run needs to go on bit for bit, from all processes; all must call this."""
        own = {"random": _random_state(), "own": self.method.own_state(), "tally": self.tally.state_dict()}
        return {
            "format": FORMAT,
            "options": plain(self.options),
            "step": self.step,
            "seconds": self.seconds,
            "parts": self.parts,
            "threads": torch.get_num_threads(),
            "best": self.best,
            "pictures": self.folders.digests(),
            "perceptual": dict(self.perceptual),
            "ancestors": list(self.ancestors),
            "processes": distributed.gather(own),
            "method": self.method.state_dict(),
        }

    def _is_evaluated_otherwise(self, before: Mapping[str, Any]) -> bool:
        """Whether `train` compares with other pictures or another network; those of `distill` stay in the run."""
        now = plain(self.options)
        names = ("eval_photos", "eval_cartoons", "eval_pictures", "eval_weights")
        return ("eval_cartoons" in now or "eval_pictures" in now) and any(
            before.get(name) != now.get(name) for name in names
        )

    def load(self, checkpoint: dict[str, Any]) -> list[str]:
        """Go on from a checkpoint, and return what is not as it was. Raises UsageError if it is of another run."""
        remarks = []
        try:
            perceptual = checkpoint.get("perceptual", checkpoint.get("judges", {}))  # as 0.1.0 had it
            for option, weights in perceptual.items():
                if self.perceptual.get(option) != weights:
                    raise UsageError(f"{option}: the run was trained with other weights; give those")
            self.method.load_state_dict(checkpoint["method"])
            self.step, self.seconds = checkpoint["step"], checkpoint["seconds"]
            self.ancestors = list(checkpoint.get("ancestors", ()))
            if self.folder.best.is_file():  # not where it goes on in another folder
                self.best = checkpoint["best"]
            if self.best is not None and self._is_evaluated_otherwise(checkpoint["options"]):
                self.best = None
                remarks.append("it is evaluated otherwise than before, so the best is sought anew")
            if self.options.accumulate == checkpoint["options"].get("accumulate", 1):
                self.parts = checkpoint["parts"]  # more than that where memory was short
            processes = checkpoint["processes"]
            if len(processes) == distributed.world_size():
                mine = processes[distributed.rank()]
                self.method.load_own_state(mine["own"])
                if "tally" in mine:
                    self.tally.load_state_dict(mine["tally"], self.method.precision.device)
                _set_random_state(mine["random"])
            else:
                remarks.append(
                    f"saved by {_processes(len(processes))}, goes on with {_processes(distributed.world_size())}: the "
                    "pictures are those that it would have had, but random numbers and pools of drawings start anew"
                )
            before, now = checkpoint.get("threads"), torch.get_num_threads()
            if before not in (None, now) and self.method.precision.device == "cpu":
                remarks.append(
                    f"saved with {before} threads, goes on with {now}: its weights will differ in their last digits "
                    f"from what they would have been; OMP_NUM_THREADS={before} gives the same"
                )
            if checkpoint["pictures"] != self.folders.digests():
                remarks.append("the folders have other pictures than before, so their order is another")
        except (AttributeError, KeyError, RuntimeError, ValueError, TypeError) as error:
            raise UsageError(
                f"--resume: the checkpoint does not fit its own options ({type(error).__name__}); name an older one, "
                "or begin another run with --start-from this one"
            ) from error
        return remarks


def _processes(count: int) -> str:
    return "1 process" if count == 1 else f"{count} processes"


def _random_state() -> dict[str, Any]:
    state: dict[str, Any] = {"cpu": torch.get_rng_state()}
    if torch.cuda.is_available():
        state["cuda"] = torch.cuda.get_rng_state()
    return state


def _set_random_state(state: dict[str, Any]) -> None:
    torch.set_rng_state(state["cpu"])
    if "cuda" in state and torch.cuda.is_available():
        torch.cuda.set_rng_state(state["cuda"])


def set_seed(seed: int) -> None:
    """Seed all sources of random numbers that networks and methods draw from."""
    random.seed(seed)
    np.random.seed(seed % 2**32)
    torch.manual_seed(seed)
