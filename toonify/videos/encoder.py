"""Pictures to the packets of a video."""

import heapq
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import av
import cv2
import numpy as np
from av.codec.context import Flags
from av.video.reformatter import ColorPrimaries, ColorRange, Colorspace, ColorTrc, VideoReformatter

from toonify.errors import ImageError, one_line
from toonify.pixels.arrays import Pixels
from toonify.videos.formats import CODECS, CodecName

_PIXELS = "yuv420p"  # what every player shows
_AVX_512 = 13  # OpenCV's number (CV_CPU_AVX_512F)
_FINEST = 10_000  # ticks a second that a time base has at least, as FFmpeg's own MP4 files


@dataclass(frozen=True)
class Packet:
    """Compressed pictures; times are in ticks of the video's time base."""

    pts: int  # when it is shown
    length: int  # for how long it is shown
    is_key: bool
    data: bytes


@dataclass(frozen=True)
class Stream:
    """What is the same for all pictures of a video."""

    codec: CodecName
    quality: int  # 1..100
    height: int
    width: int
    rate: Fraction  # frames a second, on the average
    ticks: int  # a second
    pixel_aspect: Fraction = Fraction(1)  # width of a pixel by its height
    is_srgb: bool = False  # whether its light follows sRGB's curve; else it is a camera's, that of BT.709

    @property
    def even_size(self) -> tuple[int, int]:
        """Height and width in the file: half of the colors' pixels are left out, so they are even."""
        return self.height + self.height % 2, self.width + self.width % 2

    @property
    def options(self) -> dict[str, str]:
        """The encoder's."""
        codec = CODECS[self.codec]
        options = {**codec.options, "crf": f"{codec.rate_factor(self.quality):g}"}
        if codec.encoder == "libx264" and cv2.checkHardwareSupport(_AVX_512):
            # With AVX-512, x264 makes other packets of the same pictures each time.
            options["x264-params"] = "asm=avx2"
        return options

    @property
    def settings(self) -> dict[str, Any]:
        """Attributes of a codec context: the size, the times, and what the numbers of a pixel mean (ITU-T H.273)."""
        height, width = self.even_size
        return {
            "width": width,
            "height": height,
            "pix_fmt": _PIXELS,
            "time_base": Fraction(1, self.ticks),
            "framerate": self.rate,
            "sample_aspect_ratio": self.pixel_aspect,
            "color_primaries": ColorPrimaries.BT709,
            "color_trc": ColorTrc.IEC61966_2_1 if self.is_srgb else ColorTrc.BT709,
            "colorspace": Colorspace.ITU709,
            "color_range": ColorRange.MPEG,
        }


def ticks_of(time_base: Fraction | None) -> int:
    """Ticks a second in which the times of a stream with that time base are whole: at least 10,000."""
    ticks = 1000 if time_base is None else time_base.denominator
    while ticks < _FINEST:
        ticks *= 2
    return ticks


class Encoder:
    """Compresses pictures of one size. The same pictures give the same packets at one number of threads."""

    def __init__(self, stream: Stream) -> None:
        self._stream = stream
        os.environ.setdefault("SVT_LOG", "1")  # errors only: SVT-AV1 prints its settings to stderr, read when it opens
        context = av.CodecContext.create(CODECS[stream.codec].encoder, "w")
        assert isinstance(context, av.VideoCodecContext)  # noqa: S101 - all of the table are
        for name, value in stream.settings.items():
            setattr(context, name, value)
        context.options = stream.options
        context.flags |= Flags.global_header
        self._context = context
        self._lengths: dict[int, int] = {}  # of the pictures that the encoder holds
        self._reformatter = VideoReformatter()

    def encode(self, pixels: Pixels, pts: int, length: int) -> Iterator[Packet]:
        """Take the next picture, H x W x 3 uint8 sRGB, shown from that tick on for so many. Raises ImageError."""
        self._lengths[pts] = length
        frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(_padded(pixels, self._stream)), format="rgb24")
        height, width = self._stream.even_size
        frame = self._reformatter.reformat(
            frame, width, height, _PIXELS, dst_colorspace=Colorspace.ITU709, dst_color_range=ColorRange.MPEG
        )
        frame.pts, frame.time_base = pts, Fraction(1, self._stream.ticks)
        return self._packets(frame)

    def end(self) -> Iterator[Packet]:
        """What the encoder still holds."""
        return self._packets(None)

    def _packets(self, frame: av.VideoFrame | None) -> Iterator[Packet]:
        try:
            packets = self._context.encode(frame)
        except av.FFmpegError as error:
            raise ImageError(
                f"cannot be written in {self._stream.codec}: {error.strerror or one_line(error)}"
            ) from error
        for packet in packets:
            pts = packet.pts or 0
            yield Packet(pts, self._lengths.pop(pts, 0), packet.is_keyframe, bytes(packet))


def reordering(packets: Sequence[Packet]) -> int:
    """By how many places a picture is decoded later than it is shown, at most."""
    order = sorted(range(len(packets)), key=lambda place: packets[place].pts)
    return max((place - rank for rank, place in enumerate(order)), default=0)


def decode_times(packets: Iterable[Packet], depth: int, step: int) -> Iterator[tuple[int, Packet]]:
    """Packets in the order in which they are decoded, each with its tick for that: they rise, and none is after `pts`.

    `depth` is the `reordering` of all of them; `step` are the ticks between two pictures, before the first. Encoders'
    own times are not used: libx265's are undefined in videos of a few pictures, and those of two parts may overlap.
    """
    shown: list[int] = []
    first = 0
    for place, packet in enumerate(packets):
        first = packet.pts if not place else first
        heapq.heappush(shown, packet.pts)
        yield (heapq.heappop(shown) if place >= depth else first - (depth - place) * step), packet


def _padded(pixels: Pixels, stream: Stream) -> Pixels:
    """Pictures of an odd height or width with their last row or column twice; of another size, brought to the size."""
    wide = max(1, round(stream.width * stream.pixel_aspect))
    if pixels.shape[:2] != (stream.height, wide):
        pixels = np.asarray(cv2.resize(pixels, (wide, stream.height), interpolation=cv2.INTER_AREA), np.uint8)
    if stream.pixel_aspect != 1:
        pixels = np.asarray(cv2.resize(pixels, (stream.width, stream.height), interpolation=cv2.INTER_CUBIC), np.uint8)
    height, width = stream.even_size
    down, right = height - stream.height, width - stream.width
    if not down and not right:
        return pixels
    return np.asarray(cv2.copyMakeBorder(pixels, 0, down, 0, right, cv2.BORDER_REPLICATE), np.uint8)
