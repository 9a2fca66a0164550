"""Looks at pictures and videos one by one, cuts squares out of what is good, and says what is left out and why."""

import hashlib
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec
import numpy as np

from toonify.errors import ImageError, ToonifyError, describe, display, one_line
from toonify.images import VIDEO_SUFFIXES, encode_picture, opaque, read_photo
from toonify.jobs.find import Found
from toonify.jobs.outcome import open_source
from toonify.pixels.arrays import Pixels
from toonify.pixels.boxes import Box
from toonify.pixels.crops import center_box, cut, random_boxes
from toonify.prepare.content import blank, find_bars, is_plain, looks_like_credits
from toonify.prepare.hashing import perceptual_hash, sharpness
from toonify.prepare.manifest import Cut, Picture, Reason, Source
from toonify.prepare.shots import pick_every, pick_shots
from toonify.prepare.workspace import Workspace
from toonify.system.pipeline import run_parallel
from toonify.videos.reader import Frame, Video

_SAMPLES = 40  # frames of a video in which bars are looked for
_FEWEST_SAMPLES = 12  # key frames; where there are less, other frames are looked at too
_USUAL_LENGTH = 1440.0  # seconds, of a video that does not say its length
_LONGEST_NAME = 180  # bytes of a file's name before time, number and suffix


class _StoppedError(Exception):
    """The run is being ended."""


@dataclass(frozen=True)
class Surveyed:
    """A source; whether it was known already; and what went wrong with it that nobody had thought of."""

    source: Source
    was_known: bool = False
    error: Exception | None = None


def survey(
    found: Sequence[Found],
    workspace: Workspace,
    *,
    workers: int,
    max_pixels: int,
    on_progress: Callable[[float], None] = lambda share: None,
) -> Iterator[Surveyed]:
    """Look at all sources in `workers` threads, put what is good into the workspace, and yield them in order.

    A source that fails is one with a problem. `on_progress` is called from the threads with the share of a source that
    was done since its last call. Raises ToonifyError if the workspace cannot be written.
    """
    stop = threading.Event()
    surveyor = _Surveyor(workspace, workspace.known(), max_pixels, stop, on_progress)
    results = run_parallel(found, surveyor.look, workers=workers, on_stop=stop.set)
    for name, surveyed in zip(picture_names(found), results, strict=True):
        if not surveyed.was_known:
            workspace.add(surveyed.source, name)
        yield surveyed


@dataclass(frozen=True)
class _Surveyor:
    """Looks at one source; used from several threads."""

    workspace: Workspace
    known: dict[str, Source]
    max_pixels: int
    stop: threading.Event
    on_progress: Callable[[float], None]

    def look(self, found: Found) -> Surveyed:
        is_video = found.path.suffix.lower() in VIDEO_SUFFIXES
        source = Source(display(found.path), "", is_video=is_video, problem=found.problem)
        unexpected = None
        try:
            if found.problem is not None:
                return Surveyed(source)
            with open_source(found.path) as file:
                digest = hashlib.file_digest(file, "sha256").hexdigest()
            if (known := self.known.get(digest)) is not None:
                return Surveyed(known, was_known=True)
            source = msgspec.structs.replace(source, sha256=digest)
            return Surveyed(self._video(found.path, source) if is_video else self._image(found.path, source))
        except ImageError as error:
            problem = str(error)
        except (ToonifyError, _StoppedError):
            raise
        except OSError as error:
            problem = describe(error)
        except MemoryError:
            problem = "not enough memory; use fewer --workers"
        except Exception as error:
            unexpected = error
            problem = f"unexpected {type(error).__name__}: {one_line(error)}; --debug shows where"
        finally:
            if not is_video:
                self.on_progress(1.0)
        return Surveyed(msgspec.structs.replace(source, problem=problem), error=unexpected)

    def _image(self, path: Path, source: Source) -> Source:
        with open_source(path) as file:
            photo = read_photo(file, max_pixels=self.max_pixels)
        pixels = opaque(photo)
        reason: Reason | None = "plain" if is_plain(pixels) else None
        return msgspec.structs.replace(source, pictures=(self._picture(pixels, source, reason),), notes=photo.notes)

    def _video(self, path: Path, source: Source) -> Source:
        box = find_bars(self._samples(path))
        pictures = []
        with Video(path) as video:
            frames = self._watched(video)
            every = self.workspace.options.every
            for frame in pick_shots(frames) if every is None else pick_every(frames, every):
                pixels, corner = _inside(frame.pixels(), box)
                reason: Reason | None = "credits" if looks_like_credits(pixels) else blank(pixels)
                picture = self._picture(pixels, source, reason, seconds=round(frame.time, 3), corner=corner)
                pictures.append(picture)
        return msgspec.structs.replace(
            source,
            inside_bars=None if box is None else box.corners,
            pictures=tuple(pictures),
            problem=video.problem,
            notes=tuple(video.notes),
        )

    def _samples(self, path: Path) -> Iterator[Pixels]:
        """Frames from all over a video: key frames, which are quick to reach; where there are few, others too."""
        count = 0
        with Video(path) as video:
            for frame in self._until_stopped(video.key_frames(_SAMPLES)):
                count += 1
                yield frame.pixels()
        if count < _FEWEST_SAMPLES:
            with Video(path) as video:
                step = (video.duration or _USUAL_LENGTH) / _SAMPLES
                for frame in pick_every(self._until_stopped(video.frames()), step):
                    yield frame.pixels()

    def _until_stopped(self, frames: Iterator[Frame]) -> Iterator[Frame]:
        for frame in frames:
            if self.stop.is_set():
                raise _StoppedError
            yield frame

    def _watched(self, video: Video) -> Iterator[Frame]:
        """The frames of a video, with progress told."""
        done = 0.0
        for frame in self._until_stopped(video.frames()):
            share = min(1.0, frame.time / video.duration) if video.duration else 0.0
            if share - done >= 0.01:
                self.on_progress(share - done)
                done = share
            yield frame
        self.on_progress(1.0 - done)

    def _picture(
        self,
        pixels: Pixels,
        source: Source,
        reason: Reason | None,
        *,
        seconds: float | None = None,
        corner: tuple[int, int] = (0, 0),
    ) -> Picture:
        """What is known of a picture; if it is good, its squares go into the workspace.

        `corner` is where in the whole frame `pixels` begin, from top and left.
        """
        options = self.workspace.options
        height, width = pixels.shape[:2]
        if min(height, width) < options.min_size:
            reason = "too small"
        if reason is not None:
            return Picture(width, height, seconds, left_out=reason)
        if options.crops:
            # By content, so that a picture's squares stay the same whatever else is in the folder.
            seed = [options.seed, int(source.sha256[:16], 16), round(1000 * (seconds or 0))]
            boxes = random_boxes(height, width, options.size, options.crops, np.random.default_rng(seed))
        else:
            boxes = [center_box(height, width)]
        cuts = []
        for box in boxes:
            square = encode_picture(cut(pixels, box, options.size), format="png", compression=1)
            cuts.append(Cut(self.workspace.store(square), box.moved(*corner).corners))
        hash_ = f"{perceptual_hash(pixels):016x}"
        return Picture(width, height, seconds, hash_, round(sharpness(pixels), 1), cuts=tuple(cuts))


def _inside(pixels: Pixels, box: Box | None) -> tuple[Pixels, tuple[int, int]]:
    """What lies inside a video's bars, and where it begins; all of a frame that is too small for the box."""
    if box is None or box.right > pixels.shape[1] or box.bottom > pixels.shape[0]:
        return pixels, (0, 0)
    return pixels[box.slices], (box.top, box.left)


def picture_names(found: Sequence[Found]) -> list[str]:
    """Names for what is made of each source, below the folder and without suffix: the tree below each input.

    With several input folders, each has one of its own.
    """
    several = len({source.root for source in found if source.root is not None}) > 1
    names = []
    for source in found:
        parts = [source.path.stem]
        if source.root is not None:
            parts = [*source.path.relative_to(source.root).parent.parts, *parts]
            if several:
                parts = [source.root.resolve().name, *parts]
        *folders, name = map(_clean, parts)
        # A folder called `trip.png` would be where the square of `trip.jpg` is to go.
        names.append("/".join([*(f"{each}_" if each.lower().endswith(".png") else each for each in folders), name]))
    return names


def _clean(name: str) -> str:
    """A name that every file system takes."""
    name = "".join(char if char.isprintable() and char not in '<>:"/\\|?*' else "_" for char in name)
    while len(name.encode()) > _LONGEST_NAME:
        name = name[:-1]
    return name.strip(" .") or "_"
