"""The folder that is served: its photos, what has been drawn of them, and where further drawings go.

Drawings go where `convert FOLDER --style STYLE` puts them, under the same names, so that each recognises what the
other has made.
"""

import secrets
import threading
from collections import OrderedDict
from dataclasses import replace
from pathlib import Path

from toonify.convert.local import SaveOptions, examine
from toonify.drawing import DrawingPlan
from toonify.errors import ImageError, display
from toonify.images.formats import FormatOption
from toonify.jobs.find import Found, find_photos
from toonify.jobs.plan import Job, default_output, plan_jobs
from toonify.serve.visitors import ServedPhoto, examine_photo


class ServedFolder:
    """A folder of photos on this machine."""

    def __init__(self, folder: Path) -> None:
        """Raises UsageError if it has no photos."""
        self.folder = folder
        self.name = display(folder.resolve().name or "photos")
        self._lock = threading.Lock()
        self._photos: OrderedDict[str, ServedPhoto] = OrderedDict()
        self._found: dict[str, Found] = {}
        self.look()

    def look(self) -> None:
        """See what is there now; a photo that was there before keeps its id. Raises UsageError."""
        found = find_photos([self.folder])
        with self._lock:
            known = {photo.path: photo for photo in self._photos.values()}
            self._photos, self._found = OrderedDict(), {}
            for each in found:
                size = each.path.stat().st_size if each.problem is None else 0
                photo = known.get(each.path)
                if photo is None or photo.bytes != size:
                    name = display(each.path.relative_to(self.folder).as_posix())
                    photo_id = secrets.token_urlsafe(12)
                    if each.problem is None:
                        photo = examine_photo(photo_id, name, each.path, size, is_of_folder=True)
                    else:
                        photo = ServedPhoto(photo_id, name, each.path, 0, 0, size, each.problem, is_of_folder=True)
                self._photos[photo.id] = photo
                self._found[photo.id] = each

    @property
    def photos(self) -> list[ServedPhoto]:
        """Its photos, in the order of their names."""
        return list(self._photos.values())

    def find(self, photo_id: str) -> ServedPhoto | None:
        """A photo by its id."""
        return self._photos.get(photo_id)

    def jobs(self, style: str, format: FormatOption = "same") -> dict[str, Job]:  # noqa: A002
        """Where `convert` would put the drawing of each photo, by the photo's id."""
        with self._lock:
            ids, found = list(self._found), list(self._found.values())
        return dict(zip(ids, plan_jobs(found, output=None, style=style, format=format), strict=True))

    def drawn(self, plan: DrawingPlan, format: FormatOption = "same") -> dict[str, str]:  # noqa: A002
        """What is there of a style's drawings, by the photo's id.

        "done" where `convert` would skip it; "other" where it was made in another way, or is another picture.
        """
        states = {}
        for photo_id, job in self.jobs(plan.style.card.id, format).items():
            if job.problem is not None or not job.target.is_file():
                continue
            try:
                outcome = examine(job, plan, SaveOptions())
            except (ImageError, OSError):
                continue
            if outcome is not None and outcome.result in ("skipped", "kept"):
                states[photo_id] = "done" if outcome.result == "skipped" else "other"
        return states

    def output_name(self, style: str) -> str:
        """What the folder of a style's drawings is called, for people."""
        return display(default_output(self.folder, style).name)

    def picture(self, photo_id: str, style: str) -> ServedPhoto | None:
        """The drawing that is there of a photo, to be shown."""
        job = self.jobs(style).get(photo_id)
        if job is None or not job.target.is_file():
            return None
        status = job.target.stat()
        return replace(self._photos[photo_id], id=f"{photo_id}:{style}:{status.st_mtime_ns}", path=job.target)
