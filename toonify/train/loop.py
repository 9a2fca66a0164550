"""The one loop: it owns time, data, device, the log, samples, checkpoints and stopping; the method owns the losses."""

import contextlib
import itertools
import time
from typing import Protocol

import torch

from toonify.errors import ToonifyError, TrainingError, describe, display, no_space, one_line
from toonify.methods.batch import Batch
from toonify.methods.gan import GANSettings
from toonify.styles.card import Card, Training
from toonify.system import distributed
from toonify.system.files import write_atomically
from toonify.system.memory import give_back_freed_memory
from toonify.train.check import is_out_of_memory
from toonify.train.data import batches, is_of_worker, reader_ended
from toonify.train.folder import plain, versions
from toonify.train.options import flag
from toonify.train.page import render_page
from toonify.train.plan import Plan
from toonify.train.record import Losses, Note, Record, Scores, read
from toonify.train.run import Run, Tally
from toonify.train.samples import draw_samples, sheet_of, write_sheet
from toonify.train.stop import Stop, stop_requests
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


def train(run: Run, reporter: Reporter) -> None:
    """Train until the run is finished or a stop is asked for (Ctrl-C, SIGTERM): then a checkpoint is saved first.

    Raises KeyboardInterrupt after a stop; TrainingError if the run cannot go on, or its files cannot be written.
    """
    log = Record.open(run.folder.log, until_step=run.step) if distributed.rank() == 0 else contextlib.nullcontext()
    with log as record, stop_requests() as stop:
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
        objective = settings.objective if isinstance(settings, GANSettings) else None
        shortened, from_noise = precision.dtype != torch.float32, run.method.from_noise
        self._watch = Watch(objective, anchors=anchors, shortened=shortened, from_noise=from_noise)
        self._device = precision.device
        self._told: set[str] = set()  # pictures that cannot be read, so that each is named once
        self._problems: list[str] = []
        self._mark = 0.0

    def go(self, stop: Stop) -> None:
        run, options = self._run, self._run.options
        source = batches(
            run.folders,
            options,
            size=run.method.settings.size,
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
            source.close()  # its workers end with it

    def _step(self, batch: Batch) -> dict[str, torch.Tensor]:
        run = self._run
        plan, number = run.plan, run.step
        factor, progress = plan.rate_factor(number), plan.progress(number)
        while True:
            try:
                return run.method.step(
                    batch, plan.phase(number), number, parts=run.parts, rate_factor=factor, progress=progress
                )
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
        for trained in self._run.method.trained.values():
            trained.zero()
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
        photos = samples.photos
        if self._record is not None and len(photos):
            try:
                drawings = draw_samples(run.method.ema_generator, samples, self._device)
                sheet = sheet_of(samples, drawings)
                write_sheet(run.folder.samples / f"step-{run.step:08d}.png", sheet)
                if run.method.ema_generator is not run.method.generator:  # an average lags far behind
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
        state = (tensor for trained in run.method.trained.values() for tensor in trained.network.state_dict().values())
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
                network = run.method.ema_generator
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
                # The checkpoint last: it says which step was best, and a run that goes on takes its word for it.
                for variant in run.variants(improved):
                    run.folder.write_style(run.method.ema_generator, self._card(), variant)
                if improved:
                    run.folder.save_best(checkpoint)
                run.folder.save(checkpoint, run.options.keep)
                self._reporter.on_saved(run.step)
            except OSError as error:
                problem = self.no_file(error)
        self._agree(problem)

    def no_file(self, error: OSError) -> TrainingError:
        """What it means for a run that a file cannot be written."""
        there = self._run.folder.checkpoints()
        way_out = (
            f"go on from {there[-1].stem} with --resume last"
            if there
            else "type the same command again: there is no checkpoint"
        )
        what = "no space left" if no_space(error) else describe(error).partition(";")[0]
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
            ancestors=run.ancestors,
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
        shown = "The pictures of the same seeds" if run.method.from_noise else "Each photo with its drawing"
        page = render_page(run.folder.name, facts, read(run.folder.log), run.folder.sheets(run.step), shown=shown)
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
