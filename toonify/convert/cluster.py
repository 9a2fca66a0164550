"""The same pipeline on Ray Data: a pool of workers over a cluster, each with the style loaded once.

Only jobs and outcomes travel. Workers read photos and write pictures themselves, with the functions of a local run, so
the cluster needs a file system that all nodes share. A worker that is lost is started anew and its batch done again;
pictures that are there already are recognized.
"""

import contextlib
import logging
import os
import pickle
import platform
import socket
import sys
import threading
import traceback
import warnings
from collections import Counter
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from toonify.convert.local import Outcome, SaveOptions, convert
from toonify.drawing import DrawingPlan, load_plan
from toonify.drawing.drawer import Tile
from toonify.engines.engine import Backend, Device, Precision, RanOn, ran_on
from toonify.errors import ClusterError, ToonifyError, UsageError, display, one_line
from toonify.jobs.plan import Job
from toonify.system.cores import available_cores
from toonify.system.installed import install_extra
from toonify.version import __version__

_MAX_BATCH = 8  # photos that a worker is given at once: enough to overlap decoding, drawing and encoding
_MAX_BATCHES = 5000  # of a run; Ray keeps a record of each
_SECONDS_TO_END = 10.0  # that a thread of Ray Data has
_MAX_LOST = 2  # workers that one photo may cost


@dataclass(frozen=True)
class Work:
    """All that a worker needs to know, the same for each of them."""

    plan: DrawingPlan
    save: SaveOptions
    device: Device
    backend: Backend
    precision: Precision
    tile: Tile
    cpus: int  # of one worker
    folder: Path  # in which paths that are not absolute begin
    must_exist: tuple[Path, ...]  # on a file system that all share
    version: str = __version__


@dataclass(frozen=True)
class Place:
    """A node, and what a worker there runs on."""

    host: str
    threads: int
    what: RanOn

    def __str__(self) -> str:
        return f"{self.host}: {self.what}, {self.threads} thread{'s' if self.threads > 1 else ''} a worker"


@contextlib.contextmanager
def connected(address: str, *, hush: bool = True) -> Iterator[None]:
    """A connection to Ray while the context lasts: "local" starts it on this machine, "auto" finds a running cluster.

    With `hush`, what Ray says on stdout and stderr is dropped; toonify's own words still come through. Usage statistics
    are off. Raises UsageError for what is no address, ClusterError.
    """
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"  # read when Ray is imported
    try:
        import ray
        import ray.data
    except ImportError as error:
        raise ClusterError(f"--ray needs Ray, which is not installed: {install_extra('ray')}") from error
    _reach(address)
    local: dict[str, Any] = {"num_cpus": available_cores(), "include_dashboard": False} if address == "local" else {}
    with _hushed() if hush else contextlib.nullcontext():
        try:
            ray.init(
                address=address,
                log_to_driver=not hush,
                logging_level=logging.CRITICAL if hush else logging.INFO,
                **local,
            )
        except Exception as error:  # ConnectionError, RuntimeError, ValueError: whatever is wrong with the address
            raise _no_cluster(address, error) from error
        try:
            yield
        finally:
            ray.shutdown()


def _reach(address: str) -> None:
    """Raise unless somebody listens at HOST:PORT: Ray would go on trying for minutes."""
    if address in ("local", "auto"):
        return
    host, _, port = address.rpartition(":")
    if not host or "/" in host or not port.isdecimal():
        raise UsageError(f"--ray {address}: give local, auto, or HOST:PORT of a cluster to which this machine belongs")
    try:
        socket.create_connection((host, int(port)), timeout=5).close()
    except (OSError, OverflowError) as error:
        raise _no_cluster(address, error) from error


def _no_cluster(address: str, error: Exception) -> ClusterError:
    return ClusterError(
        f"--ray {address}: no Ray cluster there ({one_line(error)[:120]}); start one with `ray start --head`, "
        "or type --ray local"
    )


class ClusterRun:
    """Jobs on the connected cluster. `ran_on` fills up as workers answer."""

    def __init__(
        self,
        jobs: list[Job],
        plan: DrawingPlan,
        save: SaveOptions,
        *,
        device: Device,
        backend: Backend,
        precision: Precision = "auto",
        tile: Tile = "auto",
        tell: Callable[[str], None] = lambda line: None,
    ) -> None:
        """`jobs` is not empty. `tell` is given a line about each place when it first answers.

        Raises ClusterError if the cluster has nothing to work with.
        """
        import ray

        resources = ray.cluster_resources()
        self._jobs = jobs
        takes_gpus = device == "auto" and backend != "openvino" and resources.get("GPU", 0) >= 1
        self._gpus = 1 if device == "cuda" or takes_gpus else 0
        self.workers = int(resources.get("GPU" if self._gpus else "CPU", 0))
        if self.workers == 0:
            raise ClusterError(
                f"the Ray cluster has no {'GPU' if self._gpus else 'CPU'} for a worker; add a node"
                + (", or type --device cpu" if self._gpus else "")
            )
        must_exist = (jobs[0].source, _nearest_folder(jobs[0].target))
        drawn = replace(plan, instead=None, warning="")  # which has been told here
        cpus = _cpus_beside_a_gpu(ray.nodes()) if self._gpus else 1
        self._work = Work(drawn, save, device, backend, precision, tile, cpus, Path.cwd(), must_exist)
        self._tell = tell
        self.ran_on: list[RanOn] = []

    def outcomes(self) -> Generator[Outcome]:
        """Draw every job and yield what became of it, in order. Raises ToonifyError if workers cannot start."""
        import ray

        context = ray.data.DataContext.get_current()
        context.enable_progress_bars = False
        context.print_on_execution_start = False
        context.execution_options.preserve_order = True
        absent = [not os.path.lexists(job.target) for job in self._jobs]
        size = max(min(_MAX_BATCH, len(self._jobs) // (4 * self.workers)), len(self._jobs) // _MAX_BATCHES, 1)
        rows = [{"job": pickle.dumps((place, job))} for place, job in enumerate(self._jobs)]
        ledger = ray.remote(num_cpus=0, max_restarts=-1)(_Ledger).remote()
        results = ray.data.from_items(rows, override_num_blocks=-(-len(rows) // size)).map_batches(
            Worker,
            batch_size=None,
            fn_constructor_args=(self._work, ledger),
            compute=ray.data.ActorPoolStrategy(size=min(self.workers, -(-len(rows) // size))),
            num_cpus=self._work.cpus,
            num_gpus=self._gpus,
        )
        places: set[Place] = set()
        try:
            with _rows(results) as answers:
                for row in answers:
                    result = pickle.loads(row["result"])  # noqa: S301 - our own workers'
                    if isinstance(result, ToonifyError):
                        raise result
                    number, outcome, place = result
                    if place not in places:
                        places.add(place)
                        self.ran_on.append(place.what)
                        self._tell(str(place))
                    if outcome.result == "skipped" and absent[number]:
                        outcome = replace(outcome, result="drawn", reason="by a worker that was lost thereafter")
                    yield outcome
        except ray.exceptions.RayError as error:
            raise ClusterError(f"Ray gave up: {one_line(error)[:200]}; --debug shows where") from error


@contextlib.contextmanager
def _rows(results: Any) -> Iterator[Iterator[dict[str, Any]]]:
    """The rows of a data set; on the way out its threads are ended.

    A thread of Ray Data that still asks for something after `ray.shutdown()` ends the whole process. Its prefetcher
    stays, but asks for nothing any more.
    """
    before = set(threading.enumerate())
    try:
        with contextlib.closing(iter(results.iter_rows())) as rows:
            yield rows
    finally:
        for thread in set(threading.enumerate()) - before:
            if thread.name != "Prefetcher":
                thread.join(_SECONDS_TO_END)


def _cpus_beside_a_gpu(nodes: list[dict[str, Any]]) -> int:
    """How many CPUs there are for a GPU on the node with the fewest: a GPU waits for what they decode and finish."""
    with_gpus = [node["Resources"] for node in nodes if node["Alive"] and node["Resources"].get("GPU", 0) >= 1]
    return min((max(1, int(each.get("CPU", 0) // each["GPU"])) for each in with_gpus), default=1)


class Worker:
    """Draws batches of jobs, in a process of its own on some node."""

    def __init__(self, work: Work, ledger: Any) -> None:
        self._work = work
        self._ledger = ledger
        self._problem: ToonifyError | None = None
        try:
            self._style = self._start()
        except ToonifyError as error:
            self._problem = type(error)(f"worker on {platform.node()}: {error}")

    def _start(self) -> Any:
        import cv2

        work = self._work
        if work.version != __version__:
            raise ClusterError(f"toonify {__version__} is there and {work.version} here; install the same")
        try:
            os.chdir(work.folder)
            for path in work.must_exist:
                path.lstat()
        except OSError as error:
            raise ClusterError(
                f"{display(error.filename)} is not there; all nodes must see the photos' folders in the same place"
            ) from error
        os.environ["OMP_NUM_THREADS"] = str(work.cpus)
        cv2.setNumThreads(work.cpus)
        warnings.simplefilter("ignore")
        style = load_plan(
            work.plan,
            device=work.device,
            backend=work.backend,
            precision=work.precision,
            tile=work.tile,
        )
        self._place = Place(platform.node(), work.cpus, ran_on(style.engine))
        return style

    def __call__(self, batch: dict[str, Any]) -> Iterator[dict[str, list[bytes]]]:
        """Draw a batch: rows of `job`, a pickled (number, Job), to rows of `result`, (number, Outcome, Place)."""
        import ray

        if self._problem is not None:
            yield {"result": [pickle.dumps(self._problem)]}
            return
        numbers, jobs = zip(*map(pickle.loads, batch["job"]), strict=True)
        if ray.get(self._ledger.start.remote(("batch", numbers[0]))) == 1:
            results = convert(jobs, self._style, self._work.save)
        else:  # a worker was lost: find out at which photo
            results = (self._draw_alone(number, job) for number, job in zip(numbers, jobs, strict=True))
        try:
            for number, outcome in zip(numbers, results, strict=True):
                yield {"result": [pickle.dumps((number, _portable(outcome), self._place))]}
        except ToonifyError as error:  # no file's fault: a full disk
            yield {"result": [pickle.dumps(error)]}

    def _draw_alone(self, number: int, job: Job) -> Outcome:
        import ray

        if ray.get(self._ledger.start.remote(("photo", number))) > _MAX_LOST:
            reason = (
                "its worker was lost each time it was tried, perhaps for want of memory; try it alone, without --ray"
            )
            return Outcome(job.source, job.target, "failed", reason)
        (outcome,) = convert([job], self._style, self._work.save)
        return outcome


class _Ledger:
    """Counts how often something was begun, over the deaths of those who begin it."""

    def __init__(self) -> None:
        self._begun: Counter[Any] = Counter()

    def start(self, what: Any) -> int:
        self._begun[what] += 1
        return self._begun[what]


def _portable(outcome: Outcome) -> Outcome:
    """The outcome without what may not travel: of an unexpected error its text remains."""
    if outcome.error is None:
        return outcome
    return replace(outcome, error=RuntimeError("".join(traceback.format_exception(outcome.error))))


def _nearest_folder(path: Path) -> Path:
    """The nearest folder above a path that exists."""
    return next(folder for folder in (*path.parents, Path()) if folder.is_dir())


@contextlib.contextmanager
def _hushed() -> Iterator[None]:
    """Drop what libraries write to stdout, and below Python to stderr; Python's own stderr stays."""
    levels = {name: logging.getLogger(name).level for name in ("ray", "ray.data", "ray.serve")}
    for name in levels:
        logging.getLogger(name).setLevel(logging.CRITICAL)
    ours = sys.stderr
    kept = os.dup(2)
    try:
        with (
            Path(os.devnull).open("w") as nothing,
            os.fdopen(kept, "w", buffering=1, closefd=False, errors="replace") as words,
        ):
            if ours is not None and _is_descriptor_2(ours):
                sys.stderr = words
            os.dup2(nothing.fileno(), 2)
            with contextlib.redirect_stdout(nothing), warnings.catch_warnings():
                warnings.simplefilter("ignore")
                yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        sys.stderr = ours
        for name, level in levels.items():
            logging.getLogger(name).setLevel(level)


def _is_descriptor_2(stream: Any) -> bool:
    try:
        return bool(stream.fileno() == 2)
    except (OSError, ValueError, AttributeError):
        return False
