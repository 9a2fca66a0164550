"""The one loop: it owns time, data, device, the log, samples, checkpoints and stopping; the method owns the losses."""

import contextlib
import random
import signal
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
import torch

from toonify import distributed
from toonify.errors import ToonifyError, TrainingError, describe
from toonify.files import write_atomically
from toonify.memory import give_back_freed_memory
from toonify.methods.batch import Batch
from toonify.methods.method import Method
from toonify.styles import Card, Training
from toonify.train.data import Folders, batches
from toonify.train.evaluation import Evaluation
from toonify.train.folder import FORMAT, RunFolder, plain, style_card, versions
from toonify.train.options import Options
from toonify.train.page import render_page
from toonify.train.plan import Plan
from toonify.train.record import Losses, Note, Record, Scores, read
from toonify.train.samples import draw_squares, write_sheet
from toonify.train.watch import Watch


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


@dataclass
class Run:
    """A run, wherever it stands."""

    options: Options
    folder: RunFolder
    folders: Folders
    method: Method
    plan: Plan
    workers: int
    samples: np.ndarray[Any, np.dtype[np.uint8]]
    evaluation: Evaluation | None  # of the leading process
    evaluates: bool  # whether it has one
    parts: int = 1  # in which a batch goes through the networks
    step: int = 0  # the next
    seconds: float = 0.0  # of training so far
    best: dict[str, Any] | None = None  # {"step": ..., "scores": ...}
    scores: dict[str, float] = field(default_factory=dict)  # of the last evaluation, if it was of this very step

    @property
    def finished(self) -> bool:
        """Whether all steps are done."""
        return self.step >= self.plan.steps

    def checkpoint(self) -> dict[str, Any]:
        """All that a run needs to go on bit for bit, from all processes; all must call this."""
        processes = distributed.gather({"random": _random_state(), "own": self.method.own_state()})
        return {
            "format": FORMAT,
            "options": plain(self.options),
            "step": self.step,
            "seconds": self.seconds,
            "parts": self.parts,
            "best": self.best,
            "pictures": self.folders.digest(),
            "processes": processes,
            "method": self.method.state_dict(),
        }

    def load(self, checkpoint: dict[str, Any]) -> list[str]:
        """Go on from a checkpoint, and return what is not as it was. Raises UsageError if it is of another run."""
        remarks = []
        try:
            self.method.load_state_dict(checkpoint["method"])
            self.step, self.seconds, self.best = checkpoint["step"], checkpoint["seconds"], checkpoint["best"]
            self.parts = max(self.parts, checkpoint["parts"])
            processes = checkpoint["processes"]
            if len(processes) == distributed.world_size():
                mine = processes[distributed.rank()]
                self.method.load_own_state(mine["own"])
                _set_random_state(mine["random"])
            else:
                remarks.append(
                    f"the checkpoint is of {len(processes)} processes, and now there are {distributed.world_size()}: "
                    "the pictures go on where they were, but random numbers and pools of drawings start anew"
                )
            if checkpoint["pictures"] != self.folders.digest():
                remarks.append("the folders have other pictures than before, so their order is another")
        except (KeyError, RuntimeError, ValueError, TypeError) as error:
            raise ToonifyError(f"--resume: the checkpoint does not fit the run ({type(error).__name__})") from error
        return remarks


def train(run: Run, reporter: Reporter) -> None:
    """Train until the run is finished or a stop is asked for (Ctrl-C, SIGTERM): then a checkpoint is saved first.

    Raises KeyboardInterrupt after a stop; TrainingError if the run cannot go on; ToonifyError if nothing can be read
    or written any more.
    """
    leads = distributed.rank() == 0
    log = Record.open(run.folder.log, until_step=run.step) if leads else contextlib.nullcontext()
    with log as record, _stop_requests() as stop:
        _Loop(run, reporter, record).go(stop)


class _Loop:
    def __init__(self, run: Run, reporter: Reporter, record: Record | None) -> None:
        self._run = run
        self._reporter = reporter
        self._record = record  # None: another process leads
        self._watch = Watch(run.method.settings.objective)
        self._device = run.method.precision.device

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
        )
        if run.step == 0:
            self._sample()
        losses: list[dict[str, torch.Tensor]] = []
        mark = time.perf_counter()
        try:
            for batch, problems in source:
                for problem in problems:
                    self._note(f"{problem}; another picture served in its place")
                losses.append(self._step(batch.to(self._device)))
                run.step += 1
                run.scores = {}
                if run.step % options.log_every == 0 or run.finished:
                    mark = self._log(losses, mark)
                    losses = []
                asked = distributed.any_of(stop.asked)
                started = time.perf_counter()
                if run.step % options.sample_every == 0 or run.finished:
                    self._sample()
                self._end_of_epoch(asked)
                mark += time.perf_counter() - started  # what is not training does not count as its pace
                if asked and not run.finished:
                    raise KeyboardInterrupt
                if run.finished:
                    return
        finally:
            source.close()  # type: ignore[attr-defined]  # a generator; its workers end with it

    def _step(self, batch: Batch) -> dict[str, torch.Tensor]:
        run = self._run
        factor = run.plan.rate_factor(run.step)
        while True:
            try:
                return run.method.step(batch, run.plan.phase(run.step), run.step, parts=run.parts, rate_factor=factor)
            except (RuntimeError, MemoryError) as error:
                if not _is_out_of_memory(error):
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

    def _log(self, losses: list[dict[str, torch.Tensor]], mark: float) -> float:
        """Write the means of the steps since the last line, and return the time from which the next ones count."""
        run = self._run
        names = sorted({name for each in losses for name in each})
        means = torch.stack([torch.stack([each[n] for each in losses if n in each]).mean() for n in names])
        values = dict(zip(names, distributed.average(means).tolist(), strict=True))
        now = time.perf_counter()
        run.seconds += now - mark
        last = run.step - 1
        entry = Losses(
            step=run.step,
            epoch=run.plan.epoch(last) + 1,
            phase=run.plan.phase(last),
            seconds=round(run.seconds, 2),
            images_per_second=round(len(losses) * run.method.settings.batch_size / max(now - mark, 1e-9), 3),
            learning_rate=run.method.settings.learning_rate * run.plan.rate_factor(last),
            losses=values,
        )
        if self._record is not None:
            self._record.add(entry)
            self._reporter.on_losses(entry, run.plan)
        self._watch.see_losses(run.step, values)
        return now

    def _sample(self) -> None:
        run = self._run
        problem = None
        if self._record is not None and len(run.samples):
            drawings = draw_squares(run.method.kept_generator, run.samples, self._device)
            write_sheet(run.folder.samples / f"step-{run.step:08d}.png", run.samples, drawings)
            try:
                self._watch.see_drawings(run.step, run.samples, drawings)
            except TrainingError as error:
                problem = error
        if distributed.any_of(problem is not None):
            raise problem or TrainingError(f"stopped at step {run.step}: the leading process tells why")

    def _end_of_epoch(self, asked: bool) -> None:
        """Evaluate and save, where an epoch, the run or the user says so."""
        run, options = self._run, self._run.options
        epoch, into = divmod(run.step, run.plan.steps_per_epoch)
        ends = into == 0
        evaluates = run.evaluates and ((ends and epoch % options.eval_every == 0) or run.finished)
        if not (evaluates or run.finished or asked or (ends and epoch % options.save_every == 0)):
            return
        improved = self._evaluate() if evaluates else False
        self._save(improved)

    def _evaluate(self) -> bool:
        """Measure the generator, and return whether it is the best so far; the other processes wait."""
        run = self._run
        improved = False
        if self._record is not None and run.evaluation is not None:
            card = self._card()
            run.scores = run.evaluation.measure(run.method.kept_generator, card, run.folder.drawings, self._device)
            entry = Scores(step=run.step, epoch=-(-run.step // run.plan.steps_per_epoch), evaluation=run.scores)
            self._record.add(entry)
            self._reporter.on_scores(entry)
            metric = run.options.eval_metric
            improved = run.best is None or run.scores[metric] < run.best["scores"][metric]
        if distributed.any_of(improved):
            run.best = distributed.gather({"step": run.step, "scores": run.scores})[0]
            return True
        return False

    def _save(self, improved: bool) -> None:
        run = self._run
        checkpoint = run.checkpoint()
        if self._record is None:
            distributed.wait()
            return
        try:
            run.folder.save(checkpoint, run.options.keep)
            if improved:
                run.folder.save_best(checkpoint)
            network = run.method.kept_generator
            card = self._card()
            if improved:
                run.folder.write_style(network, card, "best")
            run.folder.write_style(network, card, "last")
            self.write_page("finished" if run.finished else "running")
        except OSError as error:
            last = run.folder.checkpoints()
            where = f"the last whole one is {last[-1].name}" if last else "there is none yet"
            raise TrainingError(
                f"step {run.step} cannot be saved: {describe(error)}; {where}, and --resume last goes on from it"
            ) from error
        self._reporter.on_saved(run.step)
        distributed.wait()

    def _card(self) -> Card:
        run = self._run
        options = {name: value for name, value in plain(run.options).items() if name != "output"}
        training = Training(
            method=run.options.arch,
            options=options,
            steps=run.step,
            epochs=-(-run.step // run.plan.steps_per_epoch),
            seed=run.options.seed,
            pictures=run.folders.counts(),
            versions=versions(),
            hours=round(run.seconds / 3600, 3),
            scores=run.scores,
        )
        return style_card(run.folder, run.method, run.options, training)

    def write_page(self, state: str) -> None:
        run = self._run
        facts = [
            ("state", f"{state}, {run.step} of {run.plan.steps} steps"),
            ("method", run.options.arch),
            ("pictures", ", ".join(f"{count} {what}" for what, count in run.folders.counts().items())),
            ("device", f"{self._device}, {run.method.precision.name}"),
            ("seed", str(run.options.seed)),
            ("options", ", ".join(f"{k} {v}" for k, v in plain(run.options).items() if k not in ("arch", "output"))),
            ("versions", ", ".join(f"{name} {version}" for name, version in versions().items())),
        ]
        page = render_page(run.folder.name, facts, read(run.folder.log), run.folder.sheets())
        write_atomically(run.folder.page, page.encode(), overwrite=True)

    def _note(self, text: str) -> None:
        entry = Note(step=self._run.step, note=text)
        if self._record is not None:
            self._record.add(entry)
        self._reporter.on_note(entry)


def _is_out_of_memory(error: BaseException) -> bool:
    # PyTorch has an error of its own for GPUs only.
    return isinstance(error, MemoryError | torch.OutOfMemoryError) or "can't allocate memory" in str(error)


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
        print("stopping after this step, with a checkpoint; again: at once, without", file=sys.stderr)

    for number in (signal.SIGINT, signal.SIGTERM):
        with contextlib.suppress(ValueError):  # not the main thread: whoever started us hears signals
            before[number] = signal.signal(number, ask)
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
