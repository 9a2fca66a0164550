"""A video drawn from file to file: read, drawn, compressed part by part, and put together with its sound."""

import math
import os
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

from toonify.drawing.moving.options import ClipOptions, ClipResult, note_of_damage
from toonify.drawing.moving.parts import Parts
from toonify.drawing.moving.sequence import Step, draw_steps, follow
from toonify.drawing.style import Style
from toonify.errors import ImageError
from toonify.pixels.arrays import Pixels
from toonify.pixels.layout import side_by_side
from toonify.pixels.resize import resize
from toonify.system.files import put_in_place
from toonify.videos.encoder import Encoder, Packet, Stream, reordering, ticks_of
from toonify.videos.formats import CONTAINERS, DEFAULT_QUALITY
from toonify.videos.mux import Extras, mux
from toonify.videos.reader import USUAL_RATE, Frame, Video, as_time

_PART = 5.0  # seconds: the longest part, which is what a killed process loses
_SHORTEST = 1.0  # seconds: of a part that ends at a cut
_ROUNDING = 1e-6  # of a frame: times come in whole ticks

OnFrame = Callable[[int, float], None]  # told how many pictures there are, and what part of the clip they are, 0..1


@dataclass(frozen=True)
class _Timed:
    """When a picture is shown, in ticks, and for how long the file says that it is."""

    begin: int
    length: int
    share: float  # of the clip that is read with it
    frame: Frame
    shown: tuple[int, int]  # width and height of the frame
    photo: Pixels | None  # what is to stand beside the picture


def draw_clip(
    source: Path,
    target: Path,
    style: Style,
    options: ClipOptions,
    *,
    note: str,
    overwrite: bool = False,
    max_pixels: int | None = None,
    on_frame: OnFrame = lambda frames, share: None,
) -> ClipResult:
    """Draw a video to a file that appears as a whole.

    `note` is what the file says of its making. Work that an earlier call has left unfinished is gone on with, if its
    note was the same. Raises ImageError if the source cannot be read or the clip not written, FileExistsError, OSError.
    """
    with Video(source) as video:
        parts = Parts(target, note)
        try:
            film = _Film(video, parts, style, options, max_pixels, on_frame)
            film.draw()
            result = film.put_together(source, target, note, overwrite=overwrite)
        except BaseException:
            parts.leave()
            raise
        parts.remove()
        return result


class _Film:
    """A clip on its way."""

    def __init__(
        self,
        video: Video,
        parts: Parts,
        style: Style,
        options: ClipOptions,
        max_pixels: int | None,
        on_frame: OnFrame,
    ) -> None:
        self._video = video
        self._parts = parts
        self._style = style
        self._options = options
        self._max_pixels = max_pixels
        self._on_frame = on_frame
        self._progress = parts.load()
        self._start, self._end = self._range()

    def draw(self) -> None:
        """Draw what is not drawn yet, part by part."""
        progress = self._progress
        ticks = ticks_of(self._video.time_base)
        steps = follow(self._pictures(ticks, progress.frames), self._style, progress.seen)
        ahead = next(steps, None)
        if ahead is None and progress.stream is None:
            raise ImageError(self._nothing())
        while ahead is not None:
            part = _Part(ahead, steps, ticks)
            self._draw_part(part, ticks)
            ahead = part.ahead
            progress.seen = part.seen
            progress.notes = [*dict.fromkeys([*progress.notes, *self._video.notes])]
            self._parts.add(part.packets, progress)

    def _draw_part(self, part: "_Part", ticks: int) -> None:
        progress = self._progress
        encoder: Encoder | None = None
        with closing(draw_steps(part, self._style, progress.held)) as pictures:
            for timed, picture in pictures:
                if timed.photo is not None:
                    picture = side_by_side(resize(timed.photo, picture.shape[:2]), picture)
                if progress.stream is None:
                    progress.stream = self._stream(picture, timed.frame, ticks)
                encoder = encoder or Encoder(progress.stream)
                self._remark_size(timed.shown)
                part.packets += encoder.encode(picture, timed.begin, timed.length)
                progress.frames += 1
                self._on_frame(progress.frames, timed.share)
        assert encoder is not None  # noqa: S101 - a part has one picture at least
        part.packets += encoder.end()
        progress.depth = max(progress.depth, reordering(part.packets))
        progress.repeated += part.repeated

    def put_together(self, source: Path, target: Path, note: str, *, overwrite: bool) -> ClipResult:
        """Make the file of the parts and of what else the source has, and put it in its place."""
        progress, options, video = self._progress, self._options, self._video
        assert progress.stream is not None  # noqa: S101 - `draw` has seen to it
        extras = Extras(
            audio=options.audio,
            metadata=not options.strip_metadata,
            note=note_of_damage(note, video.problem),
            start=self._clock,
            is_trimmed=self._is_trimmed,
            end=self._clock_end,
        )
        with self._parts.whole.open("wb") as file:
            packets, depth = self._parts.packets(), progress.depth
            muxed = mux(file, options.container, progress.stream, packets, source, extras, depth=depth)
            file.flush()
            os.fsync(file.fileno())
        put_in_place(self._parts.whole, target, overwrite=overwrite)
        height, width = progress.stream.even_size
        return ClipResult(
            *progress.shown,
            output_width=width,
            output_height=height,
            frames=progress.frames,
            repeated=progress.repeated,
            dropped=video.lost,
            network_seconds=progress.held.network_seconds,
            codecs={"video": video.codec, "output_video": options.codec, "output_audio": ", ".join(muxed.audio)},
            notes=[*progress.notes, *muxed.notes],
            problem=video.problem,
        )

    def _range(self) -> tuple[float, float | None]:
        """Where drawing begins and ends, in seconds from the first picture."""
        options = self._options
        if options.preview is None:
            return options.start, options.end
        duration = self._video.duration
        if duration is None:
            raise ImageError("it does not say how long it is, so it has no middle; give --start and --end")
        start = max(0.0, (duration - options.preview) / 2)
        return start, start + options.preview

    @property
    def _is_trimmed(self) -> bool:
        return bool(self._start) or self._end is not None

    @property
    def _clock(self) -> Fraction:
        """The time on the source's clock that is 0 in the new file, in seconds."""
        begun = self._video.start + self._start if self._is_trimmed else self._video.origin
        return Fraction(begun).limit_denominator(1_000_000)

    @property
    def _clock_end(self) -> Fraction | None:
        if self._end is None:
            return None
        return Fraction(self._video.start + self._end).limit_denominator(1_000_000)

    def _pictures(self, ticks: int, skipped: int) -> Iterator[tuple[_Timed, Pixels]]:
        """The pictures to draw with their times, but for the first `skipped`, which are drawn already."""
        last = -1
        duration = self._end or self._video.duration
        for number, (frame, begin, end) in enumerate(self._shown()):
            first = round((begin + (0.0 if self._is_trimmed else self._video.start - float(self._clock))) * ticks)
            first = last = max(first, last + 1)
            if number < skipped:
                continue
            share = min(frame.time / duration, 1.0) if duration else 0.0
            pixels = self._checked(frame.pixels())
            photo = pixels if self._options.before_after else None
            height, width = pixels.shape[:2]
            yield _Timed(first, max(round((end - begin) * ticks), 1), share, frame, (width, height), photo), pixels

    def _shown(self) -> Iterator[tuple[Frame, float, float]]:
        """The frames to draw, each with the time at which it is shown and that at which it is not any more."""
        rate = self._options.rate
        for frame, begin, end in self._spans():
            if end <= self._start or (self._end is not None and begin >= self._end):
                continue
            begin = max(begin, self._start) - self._start
            end = (end if self._end is None else min(end, self._end)) - self._start
            if rate is None:
                yield frame, begin, end
                continue
            for number in range(math.ceil(begin * rate - _ROUNDING), math.ceil(end * rate - _ROUNDING)):
                yield frame, float(number / rate), float((number + 1) / rate)

    def _spans(self) -> Iterator[tuple[Frame, float, float]]:
        """All frames up to the end that is asked for, with the times at which they begin and end."""
        before: Frame | None = None
        for frame in self._video.frames(since=self._start):
            if before is not None:
                yield before, before.time, frame.time
                if self._end is not None and frame.time >= self._end:
                    return
            before = frame
        if before is not None:
            yield before, before.time, before.time + self._video.length(before)

    def _checked(self, pixels: Pixels) -> Pixels:
        """Pixels of a frame. Raises ImageError for more than may be."""
        height, width = pixels.shape[:2]
        if self._progress.shown == (0, 0):
            self._progress.shown = width, height
            _, (output_height, output_width) = self._style.sizes(height, width)
            most = max(width * height, output_width * output_height)
            if self._max_pixels is not None and most > self._max_pixels:
                raise ImageError(
                    f"{most / 1e6:.3g} megapixels a frame, more than {self._max_pixels / 1e6:g}; "
                    "raise --max-megapixels, or give a smaller --output-size"
                )
        return pixels

    def _stream(self, picture: Pixels, frame: Frame, ticks: int) -> Stream:
        """How the pictures are written, by the first of them."""
        height, width = picture.shape[:2]
        options, aspect = self._options, self._video.exact_aspect
        if aspect != 1:
            kept = self._style.plan.options.output_size == "same" and not options.before_after and not frame.is_turned
            if kept and CONTAINERS[options.container].aspects:
                width = max(1, round(width / aspect))
            else:
                self._video.remark("its pixels were not square, and are square now")
                aspect = Fraction(1)
        rate = options.rate or self._video.rate or USUAL_RATE
        stream = Stream(
            codec=options.codec,
            quality=options.quality or DEFAULT_QUALITY,
            height=height,
            width=width,
            rate=min(max(rate, Fraction(1)), Fraction(240)),
            ticks=ticks,
            pixel_aspect=aspect,
            is_srgb=frame.is_srgb,
        )
        if stream.even_size != (height, width):
            even_height, even_width = stream.even_size
            self._video.remark(f"{width} x {height} is odd: it is written as {even_width} x {even_height}")
        return stream

    def _remark_size(self, shown: tuple[int, int]) -> None:
        """Take note of a frame of another size than the first."""
        first = self._progress.shown
        if shown != first:
            change = f"from {first[0]} x {first[1]} to {shown[0]} x {shown[1]}"
            self._video.remark(f"its size changes {change}: all is brought to the first")

    def _nothing(self) -> str:
        if self._options.preview is not None:
            return f"nothing lies at {as_time(self._start)}, the middle that its header gives; use --start and --end"
        if self._start:
            return f"nothing lies behind {self._start:g} s; give an earlier --start"
        return "no frame in it can be read"


class _Part:
    """Steps up to the next cut, or as many as a part may have; then `ahead` is the first of the next part."""

    def __init__(self, first: Step[_Timed], steps: Iterator[Step[_Timed]], ticks: int) -> None:
        self.ahead: Step[_Timed] | None = first
        self.seen = first.seen
        self.repeated = 0
        self.packets: list[Packet] = []
        self._steps = steps
        self._longest, self._shortest = first.tag.begin + _PART * ticks, first.tag.begin + _SHORTEST * ticks

    def __iter__(self) -> Iterator[Step[_Timed]]:
        step, is_first = self.ahead, True
        while step is not None and (is_first or not self._ends_before(step)):
            self.seen = step.seen
            self.repeated += step.sketch is None
            yield step
            step, is_first = next(self._steps, None), False
        self.ahead = step

    def _ends_before(self, step: Step[_Timed]) -> bool:
        begin = step.tag.begin
        return begin >= self._longest or (step.is_cut and begin >= self._shortest)
