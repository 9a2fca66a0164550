"""Video files to frames, through PyAV: upright, in sRGB, with square pixels; what is damaged is left out and told."""

import contextlib
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from functools import cached_property
from pathlib import Path
from typing import BinaryIO, Self

import av
import cv2
import numpy as np
import numpy.typing as npt
from av.container import InputContainer
from av.sidedata.sidedata import SideData
from av.stream import Disposition
from av.video.reformatter import Colorspace, VideoReformatter
from av.video.stream import VideoStream

from toonify.errors import ImageError, counted, one_line
from toonify.images import is_picture
from toonify.images.color import SRGB, encoding_to_srgb, from_code_points
from toonify.images.modes import on_white
from toonify.pixels.arrays import Pixels
from toonify.videos.cut_off import is_cut_off
from toonify.videos.matroska import pixel_crops
from toonify.videos.progress import Clock, Losses

# Containers of pictures and sound. Others, such as playlists, could make FFmpeg open further files and addresses.
_FORMATS = "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,mpeg,mpegts,mpegvideo,asf,flv,live_flv,ogg"
Samples = npt.NDArray[np.uint8] | npt.NDArray[np.uint16]
_THUMBNAIL = 64, 36  # width and height
_UNSPECIFIED = 2  # color space
_SRGB_CURVE = 13  # transfer characteristics of H.273
_RUN_UP = 5.0  # seconds that are decoded before those that are asked for
_JUMPS = frozenset({"mov", "matroska"})  # containers in which a key frame is found by its time
_CLOCKS = frozenset({"mpegts", "mpeg", "asf", "flv"})  # where times count from anywhere, not from the beginning
USUAL_RATE = Fraction(25)  # frames a second of a video that does not say
_HD = 720  # lines, from which on a video that does not say its color space has that of HDTV


@dataclass
class Frame:
    """One frame of a video; the arrays are made when they are asked for."""

    time: float  # seconds since the first frame
    _frame: av.VideoFrame = field(repr=False)
    _video: "Video" = field(repr=False)
    duration: float = 0.0  # seconds that it is shown, as the file says; 0 where it does not

    @property
    def pts(self) -> int | None:
        """Its time stamp, in the stream's units."""
        return self._frame.pts

    def again(self, time: float) -> "Frame":
        """The same picture at another time."""
        return Frame(time, self._frame, self._video, self.duration)

    @property
    def is_srgb(self) -> bool:
        """Whether its pixels follow sRGB's curve, as what was converted does; else they are a camera's."""
        transfer = int(self._frame.color_trc)
        return transfer == _SRGB_CURVE or from_code_points(int(self._frame.color_primaries), transfer, []) != SRGB

    @property
    def is_turned(self) -> bool:
        """Whether it is shown turned by a quarter, so that its rows are the file's columns."""
        matrix = _display_matrix(self._frame)
        return matrix is not None and _is_turned(matrix)

    @cached_property
    def thumbnail(self) -> Pixels:
        """36 x 64 x 3, as it lies in the file and in the file's own colors."""
        width, height = _THUMBNAIL
        return self._video.to_rgb(self._frame, width, height)

    def pixels(self) -> Pixels:
        """H x W x 3 sRGB, upright. Of interlaced frames one field, brought to the full height, without combs."""
        frame = self._frame
        aspect = self._video.pixel_aspect
        pixels = self._video.to_srgb(frame, max(1, round(frame.width * aspect)), frame.height)
        if frame.interlaced_frame and len(pixels) > 1:
            self._video.remark("interlaced: one field of each frame is taken, without combs")
            height, width = pixels.shape[:2]
            pixels = np.asarray(cv2.resize(pixels[::2], (width, height), interpolation=cv2.INTER_CUBIC), np.uint8)
        left, top, right, bottom = self._video.crop
        left, right = round(left * aspect), round(right * aspect)
        height, width = pixels.shape[:2]
        return _displayed(pixels[top : max(height - bottom, top + 1), left : max(width - right, left + 1)], frame)


class Video:
    """An opened video. Raises ImageError if it is none that can be read."""

    def __init__(self, path: Path) -> None:
        try:
            self._file = path.open("rb")  # not by its name: FFmpeg takes some names for addresses
        except OSError as error:
            raise ImageError(f"cannot be read: {error.strerror}") from error
        if not self._file.read(1):
            self._file.close()
            raise ImageError("an empty file")
        crops = pixel_crops(self._file)
        self._is_cut_off = is_cut_off(self._file)
        try:
            self._container = self._opened()
            self._stream = main_stream(self._container)
            if self._stream.codec_context is None:  # decoding would end the process in PyAV before 18.1
                raise ImageError("what is in it cannot be decoded")
        except ImageError:
            self._file.close()
            raise
        self._stream.thread_type = "AUTO"
        self.exact_aspect = Fraction(self._stream.sample_aspect_ratio or 1)  # width of a pixel by its height
        self.pixel_aspect = float(self.exact_aspect)
        place = list(self._container.streams.video).index(self._stream)
        self.crop = crops[place] if place < len(crops) else (0, 0, 0, 0)  # left, top, right and bottom, in pixels
        self._alpha_decoder = _alpha_decoder(self._stream)
        self.problem: str | None = None  # what was found to be damaged, once `frames` has been gone through
        self.lost = 0  # frames, likewise
        self.start = 0.0  # the first frame's time in seconds on the clock of the file, once that is read
        self.notes: list[str] = []  # what the user should know, once frames have been looked at
        self._reformatter = VideoReformatter()

    def _opened(self) -> InputContainer:
        """The container. Raises ImageError that says what the file is, if it is none."""
        try:
            return open_container(self._file)
        except ImageError as error:
            if self._is_cut_off:
                raise ImageError("the file is cut off, and the index at its end is missing; fetch it again") from error
            if is_picture(self._file):
                raise ImageError("a picture; give it the name of one (.jpg, .png, .webp)") from error
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._container.close()
        self._file.close()

    @property
    def codec(self) -> str:
        """FFmpeg's name of it, such as hevc."""
        return self._stream.codec_context.name

    @property
    def time_base(self) -> Fraction | None:
        """Seconds that a tick of its times takes."""
        return self._stream.time_base

    @property
    def rate(self) -> Fraction | None:
        """Frames a second, on the average; None where it is not known."""
        return self._stream.average_rate or self._stream.guessed_rate or None

    @property
    def origin(self) -> float:
        """The time on the clock of the file at which players begin, in seconds."""
        started = self._container.start_time
        return started / 1e6 if started and self._container.format.name in _CLOCKS else 0.0

    @property
    def duration(self) -> float | None:
        """Seconds, as the file says; None where it does not."""
        return self.own_duration or (self._container.duration / 1e6 if self._container.duration else None)

    @property
    def own_duration(self) -> float | None:
        """Seconds of the pictures, where the file does not say those of the longest stream only."""
        stream = self._stream
        if tagged := _seconds(stream.metadata.get("DURATION", "")):  # Matroska
            return tagged
        return float(stream.duration * stream.time_base) if stream.duration and stream.time_base else None

    def length(self, last: Frame) -> float:
        """Seconds that the last frame is shown.

        FFmpeg counts a frame's duration to the next one in the order of decoding, which may be another.
        """
        length = last.duration or float(1 / (self.rate or USUAL_RATE))
        left = (self.own_duration or 0.0) - last.time
        return min(length, left) if left > 0 else length

    def frames(self, since: float = 0.0) -> Iterator[Frame]:
        """All frames that are whole, in order. Afterwards `problem` says whether that was all.

        With `since`, in seconds, what lies some seconds before that may be passed over, and is not looked at.

        Frames that follow a damaged one are built on it, so they are left out up to the next key frame. A decoder tells
        of damage some frames ahead, so others of the same group may go, too. Raises ImageError if no frame can be read.
        """
        losses, clock = Losses(), Clock(float(1 / (self._stream.average_rate or USUAL_RATE)))
        error: Exception | None = None
        latest: Frame | None = None
        held: list[int] = []  # time stamps of packets that repeat the frame before
        ended = 0.0  # at which the last packet is not shown any more
        has_jumped = False
        packets = self._container.demux(self._stream)
        while True:
            packet, decoded = None, []
            try:
                packet = next(packets, None)
                if packet is None:
                    break
                if packet.size == 0 and packet.pts is not None:
                    # Theora, and AVI's dropped frames: the frame before stands on. A decoder takes it for the end.
                    held.append(packet.pts)
                    continue
                decoded = self._decoded(packet)
                if packet.is_corrupt:
                    losses.add(packet.pts, clock.last)
                if packet.duration and packet.time_base:  # of a still that stands, far more than a step
                    ended = clock.last + float(packet.duration * packet.time_base)
            except Exception as caught:  # FFmpeg's own, and what its wrapper raises of a file that cannot be read
                error = caught
                if packet is None:
                    losses.add(None, clock.last)
                    break
                losses.add(packet.dts if packet.pts is None else packet.pts, clock.last)
            for frame in decoded:
                if clock.start is None:
                    clock.start = self.start = frame.time or 0.0
                    if since > _RUN_UP and self._jump(clock.start + since - _RUN_UP):
                        packets, has_jumped = self._container.demux(self._stream), True
                        losses, held, ended = Losses(), [], 0.0
                        break
                if has_jumped and not frame.key_frame:  # what lies before the key frame is built on what was not read
                    continue
                has_jumped = False
                if latest is not None:
                    yield from self._repeats(latest, [pts for pts in held if frame.pts is None or pts < frame.pts])
                held = [pts for pts in held if frame.pts is not None and pts > frame.pts]
                if clock.follow(frame):
                    losses.forget()
                if losses.spare(frame):
                    latest = Frame(clock.last, frame, self, self._seconds(frame.duration or 0))
                    yield latest
                else:
                    losses.add(frame.pts if frame.is_corrupt else None, clock.last)
        if clock.start is None:
            raise ImageError(f"no frame in it can be read{': ' + _said(error) if error else ''}")
        last = clock.last
        if latest is not None and held:
            yield from self._repeats(latest, held)
            last = max(last, latest.time + self._seconds(held[-1] - (latest.pts or 0)))
        self.lost = losses.count
        self.problem = self._problem(losses, last, max(ended, last + clock.step))

    def _problem(self, losses: Losses, last: float, end: float) -> str | None:
        """What is damaged, if anything: `last` is the time of the last frame, `end` when that is not shown any more."""
        duration = self.duration
        if self._is_cut_off:
            whole = "" if duration is None else f" of {as_time(duration)}"
            return f"damaged: the file is cut off; its pictures end at {as_time(last)}{whole}"
        if losses.count:
            return f"damaged: {counted(losses.count, 'frame')} lost, the first at {as_time(losses.first)}"
        if duration is not None and duration - end > self._tolerance(duration):
            return f"damaged: ends at {as_time(last)} of {as_time(duration)}"
        return None

    def _jump(self, time: float) -> bool:
        """Go on with the key frame before a time on the clock of the file; whether that can be done."""
        if not _JUMPS & set(self._container.format.name.split(",")) or self._alpha_decoder is not None:
            return False
        try:
            self._container.seek(int(time * 1e6))
        except av.FFmpegError:
            return False
        return True

    def _tolerance(self, duration: float) -> float:
        """Seconds that may be missing from what the file says that it has: its sound may be longer."""
        return 0.05 * duration + 2 if self.own_duration is None else 0.01 * duration + 0.5

    def _decoded(self, packet: "av.Packet[VideoStream]") -> list[av.VideoFrame]:
        """The frames that a packet completes."""
        if self._alpha_decoder is not None:
            return self._alpha_decoder.decode(packet)
        return [frame for frame in packet.decode() if isinstance(frame, av.VideoFrame)]

    def _repeats(self, frame: Frame, stamps: list[int]) -> Iterator[Frame]:
        """A frame again at later time stamps."""
        for stamp in stamps:
            yield frame.again(frame.time + self._seconds(stamp - (frame.pts or 0)))

    def _seconds(self, stamps: int) -> float:
        return float(stamps * self._stream.time_base) if self._stream.time_base else 0.0

    def key_frames(self, count: int) -> Iterator[Frame]:
        """Up to `count` different key frames spread over the whole video; none where it cannot be jumped about in."""
        seen = set()
        for number in range(count if self.duration else 0):
            time = (self.duration or 0.0) * (number + 0.5) / count
            frame = None
            with contextlib.suppress(av.FFmpegError):  # damaged here; `frames` will tell
                self._container.seek((self._container.start_time or 0) + int(time * 1e6))
                if self._alpha_decoder is not None:
                    self._alpha_decoder.flush_buffers()
                decoded = (each for packet in self._container.demux(self._stream) for each in self._decoded(packet))
                frame = next(decoded, None)
            if frame is not None and not frame.is_corrupt and frame.pts not in seen:
                seen.add(frame.pts)
                yield Frame(time, frame, self)

    def to_srgb(self, frame: av.VideoFrame, width: int, height: int) -> Pixels:
        """A decoded frame as height x width x 3 sRGB: primaries and transfer function are followed, HDR is mapped."""
        notes: list[str] = []
        encoding = from_code_points(int(frame.color_primaries), int(frame.color_trc), notes)
        if encoding == SRGB:
            pixels = self.to_rgb(frame, width, height)
        else:
            samples = self._reformat(frame, width, height, "rgb48le" if encoding.is_hdr else "rgb24")
            pixels = encoding_to_srgb(samples, encoding, notes)
        for note in notes:
            self.remark(note)
        return pixels

    def remark(self, note: str) -> None:
        """Take note of something that the user should know."""
        if note not in self.notes:
            self.notes.append(note)

    def to_rgb(self, frame: av.VideoFrame, width: int, height: int) -> Pixels:
        """A decoded frame as height x width x 3 RGB in its own colors; what is transparent lies on white."""
        if frame.format.name != "pal8" and not any(component.is_alpha for component in frame.format.components):
            return np.asarray(self._reformat(frame, width, height, "rgb24"), np.uint8)
        samples = np.asarray(self._reformat(frame, width, height, "rgba"), np.uint8)
        pixels, alpha = np.ascontiguousarray(samples[..., :3]), samples[..., 3]
        if alpha.min() == 255:
            return pixels
        self.remark("its transparency was laid on white")
        return on_white(pixels, alpha)

    def _reformat(self, frame: av.VideoFrame, width: int, height: int, name: str) -> Samples:
        is_hd = frame.colorspace == _UNSPECIFIED and frame.height >= _HD
        reformatted = self._reformatter.reformat(
            frame, width, height, name, src_colorspace=Colorspace.ITU709 if is_hd else None
        )
        samples: Samples = reformatted.to_ndarray()  # type: ignore[assignment]  # of 8 or 16 bits, by its name
        return samples


def open_container(file: BinaryIO) -> InputContainer:
    """Open a file as a container of videos. Raises ImageError if it is none."""
    file.seek(0)
    try:
        return av.open(
            file,
            "r",
            container_options={"format_whitelist": _FORMATS},
            metadata_errors="replace",
            buffer_size=1 << 18,
        )
    except Exception as error:  # FFmpeg's own, and what its wrapper raises on odd files
        raise ImageError(f"not a video that can be read: {_said(error)}") from error


def main_stream(container: InputContainer) -> VideoStream:
    """The stream that players show: the first that is marked as default, or else the first; never a cover."""
    streams = [stream for stream in container.streams.video if not stream.disposition & Disposition.attached_pic]
    if not streams:
        raise ImageError("no pictures in it")
    return next((stream for stream in streams if stream.disposition & Disposition.default), streams[0])


def _alpha_decoder(stream: VideoStream) -> av.VideoCodecContext | None:
    """The decoder of VP8 and VP9 with transparency, of which FFmpeg's own know nothing; None for other streams."""
    name = {"vp8": "libvpx", "vp9": "libvpx-vp9"}.get(stream.codec_context.name)
    if name is None or stream.metadata.get("alpha_mode", stream.metadata.get("ALPHA_MODE")) != "1":
        return None
    try:
        decoder = av.CodecContext.create(name, "r")
    except av.FFmpegError:
        return None
    return decoder if isinstance(decoder, av.VideoCodecContext) else None


def _display_matrix(frame: av.VideoFrame) -> tuple[int, int, int, int] | None:
    """a, b, c and d of the display matrix: a pixel at x, y goes to a x + c y, b x + d y. None where there is none."""
    said = frame.side_data.get("DISPLAYMATRIX")
    if not isinstance(said, SideData):
        return None
    a, b, _, c, d, *_ = struct.unpack("<9i", bytes(said)[:36])
    return a, b, c, d


def _is_turned(matrix: tuple[int, int, int, int]) -> bool:
    """Whether rows become columns, to the nearest quarter."""
    a, b, c, d = matrix
    return max(abs(b), abs(c)) > max(abs(a), abs(d))


def _displayed(pixels: Pixels, frame: av.VideoFrame) -> Pixels:
    """Pixels turned and mirrored as the file wants them to be shown, to the nearest quarter."""
    matrix = _display_matrix(frame)
    if matrix is None:
        return pixels
    a, b, c, d = matrix
    right, down = a, d
    if _is_turned(matrix):
        pixels = pixels.transpose(1, 0, 2)
        right, down = c, b
    if right < 0:
        pixels = pixels[:, ::-1]
    return np.ascontiguousarray(pixels[::-1] if down < 0 else pixels)


def _seconds(text: str) -> float | None:
    """1:02:03.5 as seconds; None for what is no such text."""
    try:
        hours, minutes, seconds = map(float, text.split(":"))
    except ValueError:
        return None
    return 3600 * hours + 60 * minutes + seconds


def as_time(seconds: float) -> str:
    """Seconds as 1:02:03 or 2:03."""
    minutes, seconds = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"


def _said(error: BaseException) -> str:
    """What FFmpeg says, without the names of its functions."""
    return (error.strerror if isinstance(error, av.FFmpegError) else None) or one_line(error)
