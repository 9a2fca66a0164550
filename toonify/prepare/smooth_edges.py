"""Many cartoons to many edge-smoothed ones, at training size: read, smooth and write in several threads."""

from collections.abc import Generator, Iterable
from dataclasses import dataclass

from toonify.images import DEFAULT_MAX_PIXELS, encode_picture, opaque, read_photo
from toonify.jobs.note import Recipe, making_notes
from toonify.jobs.outcome import Outcome, examine, guard, make_writable, open_source, write_output
from toonify.jobs.plan import Job
from toonify.pixels.crops import center_box, cut
from toonify.pixels.edges import CANNY, KERNEL, smooth_edges
from toonify.system.pipeline import run_parallel

_RECIPE = 1  # of the steps from cartoon to picture


@dataclass(frozen=True)
class SmoothOptions:
    """How cartoons are smoothed and written."""

    kernel: int = KERNEL
    canny: tuple[int, int] = CANNY
    size: int | None = 256  # of the square in the middle, before it is smoothed; None: the whole cartoon as it is
    overwrite: bool = False
    max_pixels: int = DEFAULT_MAX_PIXELS  # of a cartoon; larger ones are refused


def smooth(jobs: Iterable[Job], options: SmoothOptions, *, workers: int) -> Generator[Outcome]:
    """Smooth every job's cartoon in `workers` threads and yield what became of it, in order.

    A cartoon that fails is an outcome; only KeyboardInterrupt and DiskFullError stop the rest, and then what is half
    done leaves no trace. Pictures are PNG: JPEG would put back ringing where the edges were.
    """
    step = guard(lambda job: _smooth(job, options), memory_advice="use fewer --workers")
    return run_parallel(jobs, step, workers=workers)


def _smooth(job: Job, options: SmoothOptions) -> Outcome:
    flags = {"--kernel": options.kernel, "--canny": "{},{}".format(*options.canny), "--size": options.size or "full"}
    recipe = Recipe("smooth-edges", _RECIPE, [options.kernel, options.canny, options.size], flags)
    if (outcome := examine(job, lambda file: making_notes(file, recipe), overwrite=options.overwrite)) is not None:
        return outcome
    make_writable(job.target.parent)
    with open_source(job.source) as file:
        cartoon = read_photo(file, max_pixels=options.max_pixels)
        made = making_notes(file, recipe)[0]
    pixels = opaque(cartoon)
    notes = [*cartoon.notes]
    if cartoon.alpha is not None:
        notes.append("its transparency was laid on white")
    height, width = pixels.shape[:2]
    if options.size is not None:
        if min(height, width) < options.size:
            notes.append(f"enlarged from {width} x {height}")
        pixels = cut(pixels, center_box(height, width), options.size)
    pixels = smooth_edges(pixels, kernel=options.kernel, canny=options.canny)
    data = encode_picture(pixels, format=job.format, note=made, compression=1)
    if (outcome := write_output(job, data, overwrite=options.overwrite)) is not None:
        return outcome
    return Outcome(job.source, job.target, "smoothed", notes=tuple(notes), width=width, height=height)
