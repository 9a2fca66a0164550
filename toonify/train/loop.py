"""The one loop: it owns time, data, device, the log, samples, checkpoints and stopping; the method owns the losses."""

import contextlib
import errno
import itertools
import random
import signal
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
import torch

from toonify import distributed
from toonify.errors import ToonifyError, TrainingError, UsageError, describe, display, one_line
from toonify.files import write_atomically
from toonify.memory import give_back_freed_memory
from toonify.methods.adversarial import GameSettings
from toonify.methods.batch import Batch
from toonify.methods.method import Method
from toonify.styles import Card, Training
from toonify.train.check import is_out_of_memory
from toonify.train.data import Folders, batches, is_of_worker, reader_ended
from toonify.train.evaluation import Evaluation
from toonify.train.folder import FORMAT, RunFolder, plain, versions
from toonify.train.options import RunOptions, flag
from toonify.train.page import render_page
from toonify.train.plan import Plan
from toonify.train.record import Losses, Note, Record, Scores, read
from toonify.train.samples import Samples, draw_samples, write_sheet
from toonify.train.watch import Watch

ANCHORS = ("content_weight", "cycle_weight", "l1_weight", "lpips_weight")  # of losses that hold a drawing to its photo


class Reporter(Protocol):
    """Who is told how a run goes."""

    def on_losses(self, entry: Losses, plan: Plan) -> None:
        """A line of the log."""

    def on_scores(self, entry: Scores) -> None:
        """An evaluation."""

    def on_note(self, entry: Note) -> None:
        """Something that happened on the way."""

    def on_saved(self, step: int) -> None:
        """A checkpoint was written."""


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
    judges: Mapping[str, str] = field(default_factory=dict)  # fingerprints of the method's, by option
    parts: int = 1  # in which a batch goes through the networks
    step: int = 0  # the next
    seconds: float = 0.0  # of training so far
    tally: Tally = field(default_factory=Tally)
    best: dict[str, Any] | None = None  # {"step": ..., "scores": ...}
    scores: dict[str, float] = field(default_factory=dict)  # of the last evaluation, if it was of this very step

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
            "best": self.best,
            "pictures": self.folders.digests(),
            "judges": dict(self.judges),
            "processes": distributed.gather(own),
            "method": self.method.state_dict(),
        }

    def load(self, checkpoint: dict[str, Any]) -> list[str]:
        """Go on from a checkpoint, and return what is not as it was. Raises UsageError if it is of another run."""
        remarks = []
        try:
            for option, weights in checkpoint.get("judges", {}).items():
                if self.judges.get(option) != weights:
                    raise UsageError(f"{option}: the run was trained with other weights; give those")
            self.method.load_state_dict(checkpoint["method"])
            self.step, self.seconds = checkpoint["step"], checkpoint["seconds"]
            if self.folder.best.is_file():  # not where it goes on in another folder
                self.best = checkpoint["best"]
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


def train(run: Run, reporter: Reporter) -> None:
    """Train until the run is finished or a stop is asked for (Ctrl-C, SIGTERM): then a checkpoint is saved first.

    Raises KeyboardInterrupt after a stop; TrainingError if the run cannot go on, or its files cannot be written.
    """
    log = Record.open(run.folder.log, until_step=run.step) if distributed.rank() == 0 else contextlib.nullcontext()
    with log as record, _stop_requests() as stop:
        loop = _Loop(run, reporter, record)
        try:
            loop.go(stop)
        except KeyboardInterrupt:
            loop.leave("interrupted")
            raise
        except OSError as error:
            stopped = loop.no_file(error)
            loop.leave(f"stopped: {stopped}")
            raise stopped from error
        except RuntimeError as error:
            if not is_of_worker(error):
                raise
            stopped = reader_ended(run.workers)
            loop.leave(f"stopped: {stopped}")
            raise stopped from error
        except TrainingError as error:
            loop.leave(f"stopped: {error}")
            raise


class _Loop:
    def __init__(self, run: Run, reporter: Reporter, record: Record | None) -> None:
        self._run = run
        self._reporter = reporter
        self._record = record  # None: another process leads
        settings, precision = run.method.settings, run.method.precision
        anchors = [flag(name) for name in ANCHORS if hasattr(settings, name)]
        objective = settings.objective if isinstance(settings, GameSettings) else None
        self._watch = Watch(objective, anchors=anchors, shortened=precision.dtype != torch.float32)
        self._device = precision.device
        self._told: set[str] = set()  # pictures that cannot be read, so that each is named once
        self._problems: list[str] = []
        self._mark = 0.0

    def go(self, stop: "_Stop") -> None:
        run, options = self._run, self._run.options
        source = batches(
            run.folders,
            options,
            batch_size=run.method.settings.batch_size,
            first_step=run.step,
            workers=run.workers,
            rank=distributed.rank(),
            world=distributed.world_size(),
            device=self._device,
        )
        if run.step == 0:
            self._sample()
            self._write_page("running")
        self._mark = time.perf_counter()
        try:
            for batch, problems in source:
                self._problems += problems
                run.tally.add(self._step(batch.to(self._device)))
                run.step += 1
                run.scores = {}
                self._count_time()
                ends_phase = run.plan.phase(run.step) != run.plan.phase(run.step - 1)
                if run.step % options.log_every == 0 or ends_phase or run.finished:
                    self._log()
                elif distributed.world_size() == 1:
                    self._tell_problems()
                asked = distributed.any_of(stop.asked)
                shown = run.step % options.sample_every == 0 or run.finished
                if shown:
                    self._sample()
                if self._end_of_epoch(asked) or shown:
                    self._write_page("finished" if run.finished else "running")
                if asked and not run.finished:
                    raise KeyboardInterrupt
                if run.finished:
                    return
                self._mark = time.perf_counter()  # what is not training does not count as its pace
        finally:
            source.close()  # type: ignore[attr-defined]  # a generator; its workers end with it

    def _step(self, batch: Batch) -> dict[str, torch.Tensor]:
        run = self._run
        factor = run.plan.rate_factor(run.step)
        while True:
            try:
                return run.method.step(batch, run.plan.phase(run.step), run.step, parts=run.parts, rate_factor=factor)
            except (RuntimeError, MemoryError) as error:
                if not is_out_of_memory(error):
                    raise
                if run.parts >= len(batch) or distributed.world_size() > 1:
                    raise TrainingError(
                        f"not enough memory for step {run.step}; lower --size, --width or --batch-size, or raise "
                        "--accumulate, in a new run"
                    ) from error
            run.parts = min(2 * run.parts, len(batch))
            self._give_memory_back()
            self._note(f"not enough memory: from here on a batch goes through the networks in {run.parts} parts")

    def _give_memory_back(self) -> None:
        for player in self._run.method.players.values():
            player.zero()
        if self._device == "cuda":
            torch.cuda.empty_cache()
        give_back_freed_memory()

    def _count_time(self) -> None:
        """Count the time since the mark as training."""
        now = time.perf_counter()
        self._run.seconds += now - self._mark
        self._run.tally.seconds += now - self._mark
        self._mark = now

    def _log(self) -> None:
        """Write a line of the log: the means of the steps since the last one."""
        run = self._run
        losses = run.tally.means()
        self._count_time()  # a GPU has worked until here
        last = run.step - 1
        entry = Losses(
            step=run.step,
            epoch=run.plan.epoch(last) + 1,
            phase=run.plan.phase(last),
            seconds=round(run.seconds, 2),
            images_per_second=round(run.tally.steps * run.method.settings.batch_size / max(run.tally.seconds, 1e-9), 3),
            learning_rate=run.method.settings.learning_rate * run.plan.rate_factor(last),
            losses=losses,
        )
        run.tally = Tally()
        self._tell_problems()
        if self._record is not None:
            self._record.add(entry)
            self._reporter.on_losses(entry, run.plan)
        self._watch.see_losses(run.step, losses)

    def _tell_problems(self) -> None:
        """Name the pictures that could not be read in any process, each once."""
        for problem in itertools.chain(*distributed.gather(self._problems)):
            self._note_once(f"{problem}; another picture served in its place")
        self._problems = []

    def _sample(self) -> None:
        run = self._run
        problem = None
        samples = run.samples
        photos, wanted = samples.photos, samples.wanted
        if self._record is not None and len(photos):
            try:
                drawings = draw_samples(run.method.kept_generator, samples, self._device)
                shown = [drawings] if wanted is None else [wanted, drawings]
                write_sheet(run.folder.samples / f"step-{run.step:08d}.png", photos, *shown)
                if run.method.kept_generator is not run.method.generator:  # an average lags far behind
                    drawings = draw_samples(run.method.generator, samples, self._device)
                self._watch.see_drawings(run.step, photos, drawings)
            except TrainingError as error:
                problem = error
            except OSError as error:
                problem = self.no_file(error)
        self._agree(problem)

    def _agree(self, problem: TrainingError | None) -> None:
        """Raise what this process has found, and in the others that they stop, too: they would wait for ever."""
        if distributed.any_of(problem is not None):
            raise problem or TrainingError(f"stopped at step {self._run.step}; another process tells why")

    def _end_of_epoch(self, asked: bool) -> bool:
        """Evaluate and save, where an epoch, the run or the user says so, and return whether that was so."""
        run, options = self._run, self._run.options
        epoch, into = divmod(run.step, run.plan.steps_per_epoch)
        ends = into == 0
        evaluates = run.evaluation is not None and ((ends and epoch % options.eval_every == 0) or run.finished)
        if not (evaluates or run.finished or asked or (ends and epoch % options.save_every == 0)):
            return False
        self._refuse_nonsense()
        improved = self._evaluate() if evaluates else False
        self._save(improved)
        return True

    def _refuse_nonsense(self) -> None:
        """Raise TrainingError if what would be saved is not finite, so that the checkpoint before stays the last."""
        run = self._run
        losses = run.tally.means()
        state = (tensor for player in run.method.players.values() for tensor in player.network.state_dict().values())
        problem = None
        try:
            self._watch.see_finite(run.step, losses, state)
        except TrainingError as error:
            problem = error
        self._agree(problem)

    def _evaluate(self) -> bool:
        """Measure the generator, and return whether it is the best so far; the other processes wait."""
        run = self._run
        improved = False
        problem = None
        if self._record is not None and run.evaluation is not None:
            try:
                network = run.method.kept_generator
                verdict = run.evaluation.measure(network, self._card(), run.folder.drawings, self._device)
                for one in verdict.problems:
                    self._note_once(f"{one}; left out of the evaluation")
                run.scores = verdict.scores
                entry = Scores(step=run.step, epoch=self._epoch(), evaluation=run.scores)
                self._record.add(entry)
                self._reporter.on_scores(entry)
                rank = run.evaluation.rank
                improved = run.best is None or rank(run.scores) < rank(run.best["scores"])
            except OSError as error:
                problem = self.no_file(error)
            except (ToonifyError, MemoryError) as error:  # no reason to lose the run
                self._note_once(f"not evaluated: {one_line(error)}")
        self._agree(problem)
        if distributed.any_of(improved):
            run.best = distributed.gather({"step": run.step, "scores": run.scores})[0]
            return True
        return False

    def _epoch(self) -> int:
        """The epochs that have begun."""
        return -(-self._run.step // self._run.plan.steps_per_epoch)

    def _save(self, improved: bool) -> None:
        run = self._run
        checkpoint = run.checkpoint()
        problem = None
        if self._record is not None:
            try:
                run.folder.save(checkpoint, run.options.keep)
                if improved:
                    run.folder.save_best(checkpoint)
                for variant in run.variants(improved):
                    run.folder.write_style(run.method.kept_generator, self._card(), variant)
                self._reporter.on_saved(run.step)
            except OSError as error:
                problem = self.no_file(error)
        self._agree(problem)

    def no_file(self, error: OSError) -> TrainingError:
        """What it means for a run that a file cannot be written."""
        there = self._run.folder.checkpoints()
        way_out = f"go on from {there[-1].stem} with --resume last" if there else "start anew: there is no checkpoint"
        what = "no space left" if error.errno in (errno.ENOSPC, errno.EDQUOT) else describe(error).partition(";")[0]
        return TrainingError(
            f"{display(self._run.folder.path)} cannot be written at step {self._run.step}: {what}; see to that, "
            f"then {way_out}"
        )

    def leave(self, state: str) -> None:
        """Write down in the log and on the page how the run ended, if that is still possible."""
        with contextlib.suppress(OSError, ToonifyError):
            if self._record is not None and state != "interrupted":
                self._record.add(Note(step=self._run.step, note=state))
            self._write_page(state)

    def _card(self) -> Card:
        run = self._run
        options = {name: value for name, value in plain(run.options).items() if name not in run.options.paths}
        training = Training(
            method=run.options.method,
            options=options,
            steps=run.step,
            epochs=self._epoch(),
            seed=run.options.seed,
            pictures=run.folders.counts(),
            versions=versions(),
            hours=round(run.seconds / 3600, 3),
            scores=run.scores,
        )
        return run.card(training)

    def _write_page(self, state: str) -> None:
        run = self._run
        if self._record is None:
            return
        options = plain(run.options).items()
        facts = [
            ("state", f"{state}, {run.step} of {run.plan.steps} steps"),
            ("method", run.options.method),
            ("pictures", ", ".join(f"{count} {what}" for what, count in run.folders.counts().items())),
            ("device", f"{self._device}, {run.method.precision.name}"),
            ("seed", str(run.options.seed)),
            ("options", ", ".join(f"{flag(k)} {v}" for k, v in options if k not in ("arch", "output"))),
            ("versions", ", ".join(f"{name} {version}" for name, version in versions().items())),
        ]
        page = render_page(run.folder.name, facts, read(run.folder.log), run.folder.sheets(run.step))
        write_atomically(run.folder.page, page.encode(), overwrite=True)

    def _note_once(self, text: str) -> None:
        if text not in self._told:
            self._told.add(text)
            self._note(text)

    def _note(self, text: str) -> None:
        if self._record is not None:
            entry = Note(step=self._run.step, note=text)
            self._record.add(entry)
            self._reporter.on_note(entry)


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


class _Stop:
    asked = False


@contextlib.contextmanager
def _stop_requests() -> Iterator[_Stop]:
    """Ctrl-C and SIGTERM ask for a stop after the step; a second one stops at once."""
    stop = _Stop()
    before = {}

    def ask(number: int, _frame: object) -> None:
        if stop.asked:
            raise KeyboardInterrupt
        stop.asked = True
        if distributed.rank() == 0:
            print("stopping after this step, with a checkpoint; again: at once, without", file=sys.stderr)

    for number in (signal.SIGINT, signal.SIGTERM):
        with contextlib.suppress(ValueError):  # not the main thread: whoever started us hears signals
            before[number] = signal.signal(number, ask)
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
