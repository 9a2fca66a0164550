"""A look at the heads of files that are to be drawn: what can be known before anything is decoded."""

from toonify.errors import ImageError
from toonify.images import picture_size
from toonify.jobs.outcome import Outcome, open_source
from toonify.jobs.plan import ClipJob, Job
from toonify.videos.reader import Video


def peek(job: Job | ClipJob) -> Outcome | None:
    """A failure, if a file's head tells that it cannot be read; else None."""
    try:
        if isinstance(job, ClipJob):
            with Video(job.source):
                return None
        with open_source(job.source) as file:
            picture_size(file)
    except ImageError as error:
        return Outcome(job.source, job.target, "failed", str(error))
    return None
