"""A file of a new video and what else the source has: sound, subtitles, chapters, title and date."""

import heapq
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import av
from av.audio.stream import AudioStream
from av.container import InputContainer, OutputContainer
from av.stream import Disposition

from toonify.errors import ImageError, counted
from toonify.pixels.arrays import Pixels
from toonify.videos.encoder import Encoder, Packet, Stream, decode_times, reordering
from toonify.videos.formats import CODECS, CONTAINERS, Container, ContainerName
from toonify.videos.reader import main_stream, open_container
from toonify.videos.subtitles import HEADER, TEXTS, converted

if TYPE_CHECKING:
    from av.container.core import Chapter

    AnyPacket = av.Packet[Any]  # at run time it takes no parameters
    Timed = tuple[Fraction, AnyPacket]  # with its time in seconds

# What containers say of themselves; the rest is of the film.
_TECHNICAL = frozenset(
    {"major_brand", "minor_version", "compatible_brands", "encoder", "duration", "handler_name", "vendor_id"}
)
_STATISTICS = ("_STATISTICS", "BPS", "NUMBER_OF_")
_LANGUAGE = "language"
_NOTE_KEYS = ("toonify", "encoder")  # where a note of making is found; MP4's ©too comes back as the latter
_UNKNOWN_DATA, _DVD_MENUS = "bin_data", "dvd_nav_packet"  # FFmpeg's names of codecs
_SUBTITLES = "subtitle track"
_MOST_SOUND = 48_000  # samples a second


@dataclass(frozen=True)
class Extras:
    """What of the source goes with the video."""

    audio: bool = True
    metadata: bool = True
    note: str = ""  # of the video's making
    start: Fraction = Fraction(0)  # seconds on the source's clock at which the new one begins
    is_trimmed: bool = False  # whether what lies before that is left out
    end: Fraction | None = None  # seconds on the source's clock; None: all


@dataclass
class Muxed:
    """What became of the source's streams."""

    notes: list[str] = field(default_factory=list)
    audio: list[str] = field(default_factory=list)  # codecs in the new file


def read_note(path: Path) -> str | None:
    """What a video says of its making by toonify; None for any other file."""
    try:
        with path.open("rb") as file, open_container(file) as container:
            found = {key.lower(): value for key, value in container.metadata.items()}
    except (OSError, ImageError):
        return None
    notes = (found.get(key, "") for key in _NOTE_KEYS)
    return next((note for note in notes if note.startswith("toonify ")), None)


def mux(
    file: BinaryIO,
    name: ContainerName,
    stream: Stream,
    packets: Iterable[Packet],
    source: Path,
    extras: Extras,
    *,
    depth: int,
) -> Muxed:
    """Write a video of `packets` with the source's sound, subtitles, chapters and metadata to an open file.

    `packets` come in the order in which they are decoded; `depth` is their `reordering`. Sound that a container does
    not hold is compressed anew, what else it does not hold is left out, and either is told. Raises ImageError for what
    cannot be read, OSError.
    """
    container = CONTAINERS[name]
    muxed = Muxed()
    with source.open("rb") as original, open_container(original) as origin:
        out = av.open(_Unbuffered(file), "w", format=container.muxer, container_options=dict(container.options))
        with out:
            video = _add_video(out, name, stream)
            _describe(out, origin, container, extras)
            carried = _carried(origin, out, container, extras, muxed)
            out.start_encoding()
            pictures = _pictures(packets, video, stream, depth)
            for _, packet in heapq.merge(pictures, carried, key=lambda timed: timed[0]):
                out.mux(packet)
        if extras.metadata and (lost := _lost(file, origin.metadata)):
            muxed.notes.append(f"left out of what it says of itself: {', '.join(lost)}")
    return muxed


def _lost(file: BinaryIO, metadata: dict[str, str]) -> list[str]:
    """The names of what a video said of itself and the new one does not."""
    with Path(file.name).open("rb") as written, open_container(written) as container:
        there = {key.lower() for key in container.metadata}
    return sorted(key for key in _kept(metadata) if key.lower() not in there)


class _Unbuffered:
    """A file to be written whose bytes are there at once: FFmpeg opens it once more by its name, for a fast start."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.name = os.path.abspath(file.name)  # noqa: PTH100 - a relative name may look like an address
        self.seek, self.tell = file.seek, file.tell

    def write(self, data: bytes) -> int:
        written = self._file.write(data)
        self._file.flush()
        return written


def write_silent(file: BinaryIO, name: ContainerName, stream: Stream, pictures: Iterable[Pixels]) -> None:
    """Write a video of pictures, H x W x 3 uint8 sRGB each, that have no source. Raises ImageError, OSError."""
    container = CONTAINERS[name]
    encoder = Encoder(stream)
    length = round(stream.ticks / stream.rate)
    with av.open(_Unbuffered(file), "w", format=container.muxer, container_options=dict(container.options)) as out:
        video = _add_video(out, name, stream)
        out.start_encoding()
        packets: list[Packet] = []
        for number, picture in enumerate(pictures):
            packets += encoder.encode(picture, number * length, length)
        packets += encoder.end()
        for _, packet in _pictures(packets, video, stream, reordering(packets)):
            out.mux(packet)


def _add_video(out: OutputContainer, name: ContainerName, stream: Stream) -> Any:
    codec = CODECS[stream.codec]
    video = out.add_stream(codec.encoder, rate=stream.rate, options=stream.options)
    for key, value in stream.settings.items():
        setattr(video.codec_context, key, value)
    video.time_base = Fraction(1, stream.ticks)
    video.disposition = Disposition.default
    if codec.tag is not None and name in ("mp4", "mov"):
        video.codec_context.codec_tag = codec.tag
    return video


def _describe(out: OutputContainer, origin: InputContainer, container: Container, extras: Extras) -> None:
    """Title, date and the like, chapters, and the note of making."""
    if extras.metadata:
        out.metadata.update(_kept(origin.metadata))
    if extras.note:
        out.metadata["toonify" if container.keys else "encoding_tool"] = extras.note
    if chapters := [*_chapters(origin, extras)]:
        out.set_chapters(chapters)


def _chapters(origin: InputContainer, extras: Extras) -> "Iterator[Chapter]":
    """Those that lie in the new video, at its times."""
    for chapter in origin.chapters():
        base = chapter["time_base"] or Fraction(1)
        begin, end = max(chapter["start"] * base - extras.start, Fraction(0)), chapter["end"] * base - extras.start
        if extras.end is not None:
            end = min(end, extras.end - extras.start)
        if begin < end:
            yield {**chapter, "start": round(begin / base), "end": round(end / base)}


def _kept(metadata: dict[str, str]) -> dict[str, str]:
    return {
        key: value
        for key, value in metadata.items()
        if key.lower() not in _TECHNICAL
        and not key.upper().startswith(_STATISTICS)
        and not value.startswith("toonify ")
    }


def _pictures(packets: Iterable[Packet], video: Any, stream: Stream, depth: int) -> "Iterator[Timed]":
    base = Fraction(1, stream.ticks)
    for dts, each in decode_times(packets, depth, round(stream.ticks / stream.rate)):
        packet = av.Packet(each.data)
        packet.pts, packet.dts, packet.time_base, packet.is_keyframe = each.pts, dts, base, each.is_key
        packet.duration, packet.stream = each.length, video
        yield dts * base, packet


def _carried(
    origin: InputContainer, out: OutputContainer, container: Container, extras: Extras, muxed: Muxed
) -> "Iterator[Timed]":
    """Set up the streams that go along; give their packets, by time."""
    copied: dict[int, Any] = {}
    transcoded: dict[int, Any] = {}
    rewritten: dict[int, tuple[str, str]] = {}  # codecs of copied texts, before and after
    left_out: dict[str, int] = {}
    drawn = main_stream(origin)
    for stream in origin.streams:
        # The codec's name, not that of one of its decoders: "mp3", not "mp3float".
        codec = stream.codec_context.codec.canonical_name if stream.codec_context is not None else "unknown"
        if stream.type == "audio" and isinstance(stream, AudioStream):
            if not extras.audio:
                continue
            if container.audio is None or codec in container.audio:
                new = _copy_of(out, stream)
                if new is not None:
                    copied[stream.index] = new
                    muxed.audio.append(codec)
                    _name(new, stream, extras)
                    continue
            new = out.add_stream(container.transcoded, rate=_sound_rate(stream, container), layout=_layout(stream))
            transcoded[stream.index] = new
            muxed.audio.append(container.transcoded.removeprefix("lib"))
            muxed.notes.append(
                f"its sound was in {codec} and is in {muxed.audio[-1]} now, which {container.muxer} holds"
            )
            _name(new, stream, extras)
        elif stream.type == "subtitle" and (container.subtitles is None or codec in container.subtitles):
            new = _copy_of(out, stream)
            if new is None:
                left_out[_SUBTITLES] = left_out.get(_SUBTITLES, 0) + 1
            else:
                copied[stream.index] = new
                _name(new, stream, extras)
        elif stream.type == "subtitle" and codec in TEXTS:
            copied[stream.index] = new = _text_stream(out, container)
            _name(new, stream, extras)
            rewritten[stream.index] = (codec, container.texts)
            muxed.notes.append(f"its subtitles were in {codec} and are in {container.texts} now")
        elif stream.type == "attachment" and container.attachments:
            new = _copy_of(out, stream)
            if new is None:
                left_out["attachment"] = left_out.get("attachment", 0) + 1
        elif (kind := _other(stream, origin, drawn)) is not None:
            left_out[kind] = left_out.get(kind, 0) + 1
    muxed.notes += [f"left out: {counted(count, kind)}{_why(kind, container)}" for kind, count in left_out.items()]
    return _packets(origin, copied, transcoded, rewritten, extras)


def _other(stream: Any, origin: InputContainer, drawn: Any) -> str | None:
    """What a stream is that is not carried on; None for the video itself, and for what is no loss."""
    if stream.type == "video":
        if stream.disposition & Disposition.attached_pic:
            return "cover picture"
        return None if stream is drawn else "further video"
    if stream.type == "data":
        # MP4 has its chapters in a track of texts; a DVD's menus lead nowhere in a file.
        is_no_loss = stream.name == _DVD_MENUS or (stream.name == _UNKNOWN_DATA and origin.chapters())
        return None if is_no_loss else "data stream"
    kind: str = stream.type
    return {"subtitle": _SUBTITLES}.get(kind, kind)


def _why(kind: str, container: Container) -> str:
    return f", which {container.muxer} does not hold" if kind in (_SUBTITLES, "attachment") else ""


def _copy_of(out: OutputContainer, stream: Any) -> Any:
    """A stream of the same kind in another file; None where that does not hold it."""
    try:
        return out.add_stream_from_template(stream)
    except (ValueError, av.FFmpegError):
        return None


def _text_stream(out: OutputContainer, container: Container) -> Any:
    stream: Any = out.add_stream(container.texts.replace("subrip", "srt"))  # an encoder's name; it is not run
    stream.codec_context.subtitle_header = HEADER
    return stream


def _name(new: Any, stream: Any, extras: Extras) -> None:
    """Language and title of a stream, and whether it is played by default."""
    if extras.metadata:
        new.metadata.update(_kept(stream.metadata))
    elif stream.language:
        new.metadata[_LANGUAGE] = stream.language
    new.disposition = stream.disposition


def _layout(stream: AudioStream) -> str:
    """The places of its speakers; the usual ones for a file that gives their number alone."""
    usual = {1: "mono", 2: "stereo", 3: "2.1", 4: "quad", 5: "5.0", 6: "5.1", 7: "6.1", 8: "7.1"}
    name = stream.layout.name
    return usual.get(stream.layout.nb_channels, name) if "channels" in name else name


def _sound_rate(stream: AudioStream, container: Container) -> int:
    return _MOST_SOUND if container.transcoded == "libopus" else min(stream.rate or _MOST_SOUND, _MOST_SOUND)


def _packets(
    origin: InputContainer,
    copied: dict[int, Any],
    transcoded: dict[int, Any],
    rewritten: dict[int, tuple[str, str]],
    extras: Extras,
) -> "Iterator[Timed]":
    wanted = [origin.streams[index] for index in (*copied, *transcoded)]
    if not wanted:
        return
    latest = Fraction(0)
    for packet in origin.demux(wanted):
        index = packet.stream.index
        if packet.dts is None and packet.pts is None:  # the end, at which decoders give what they hold
            if index in transcoded:
                for each in _compressed(packet, transcoded[index], extras):
                    yield latest, each
                for each in transcoded[index].encode(None):
                    yield latest, each
            continue
        base = packet.time_base
        time = (packet.pts if packet.pts is not None else packet.dts or 0) * base
        # Of an untrimmed video all is kept: decoders need what lies before the beginning.
        is_before = extras.is_trimmed and time + (packet.duration or 0) * base <= extras.start
        if is_before or (extras.end is not None and time >= extras.end):
            continue
        latest = max(latest, time - extras.start)
        if index in transcoded:
            for each in _compressed(packet, transcoded[index], extras):
                yield latest, each
            continue
        if index in rewritten:
            if not (data := converted(bytes(packet), *rewritten[index])):
                continue
            packet = _with_data(packet, data)
        shift = round(extras.start / base)
        packet.pts = None if packet.pts is None else packet.pts - shift
        packet.dts = None if packet.dts is None else packet.dts - shift
        packet.stream = copied[index]
        yield latest, packet


def _with_data(packet: "AnyPacket", data: bytes) -> "AnyPacket":
    """Other content at the same time."""
    new: AnyPacket = av.Packet(data)
    new.time_base, new.pts, new.dts, new.duration = packet.time_base, packet.pts, packet.dts, packet.duration
    return new


def _compressed(packet: "AnyPacket", new: Any, extras: Extras) -> "Iterator[AnyPacket]":
    """The sound of a packet, compressed anew. What is damaged in it is silent."""
    try:
        frames = packet.decode()
    except av.FFmpegError:
        return
    for frame in frames:
        if isinstance(frame, av.AudioFrame) and frame.pts is not None and frame.time_base:
            # In samples: the clock of an AVI's sound may have 24 ms a tick, and encoders cut it up into other lengths.
            base = Fraction(1, frame.sample_rate)
            frame.pts, frame.time_base = round((frame.pts * frame.time_base - extras.start) / base), base
        yield from new.encode(frame)
