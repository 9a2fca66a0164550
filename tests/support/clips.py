"""Tiny videos with all that goes along with pictures, and what is in a video, read with PyAV alone."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from videos import FPS, scene

SIDE = 64
_NO_STYLES = b"[Script Info]\nScriptType: v4.00+\n\n[Events]\nFormat: Layer, Start, End, Style, Text\n"


def moving(count: int, height: int = SIDE, width: int = SIDE, seed: int = 0) -> list[np.ndarray]:
    """Frames of a picture that moves by four pixels each."""
    wide = scene(seed, height, width * 2)
    return [np.ascontiguousarray(np.roll(wide, 4 * number, axis=1)[:, :width]) for number in range(count)]


@dataclass
class Cue:
    """A line of subtitles; times in seconds."""

    begin: float
    end: float
    text: str


def make_clip(
    path: Path,
    frames: Sequence[np.ndarray],
    *,
    times: Sequence[Fraction] | None = None,
    base: Fraction = Fraction(1, 12000),
    rate: Fraction = Fraction(FPS),
    codec: str = "libx264",
    pix_fmt: str = "yuv420p",
    sound: Sequence[str] = (),
    sound_begins: float = 0.0,
    cues: Sequence[Cue] = (),
    chapters: Sequence[tuple[float, float, str]] = (),
    metadata: Mapping[str, str] | None = None,
    language: str = "",
    turned: float = 0,
    matrix: Sequence[int] | None = None,
    aspect: Fraction | None = None,
    color: Mapping[str, int] | None = None,
    second: Sequence[np.ndarray] = (),
    muxer: Mapping[str, str] | None = None,
    **options: str,
) -> Path:
    """Write a video, its frames at `times` in seconds, with a track of sound in each of the codecs `sound`."""
    times = [number / rate for number in range(len(frames))] if times is None else times
    seconds = float(max(times, default=0) + 1 / rate) + 0.05
    if codec == "libx264":
        options = {"preset": "veryfast", "crf": "12", **options}
    with av.open(str(path), "w", container_options=dict(muxer or {})) as file:
        file.metadata.update(metadata or {})
        if chapters:
            file.set_chapters(
                [
                    {
                        "id": number,
                        "start": round(begin * 1000),
                        "end": round(end * 1000),
                        "time_base": Fraction(1, 1000),
                        "metadata": {"title": title},
                    }
                    for number, (begin, end, title) in enumerate(chapters)
                ]
            )
        tracks = []
        for pictures in [frames, second] if second else [frames]:
            video: Any = file.add_stream(codec, rate=rate, options=options)
            video.height, video.width = pictures[0].shape[:2] if pictures else (SIDE, SIDE)
            video.pix_fmt = pix_fmt
            video.time_base = video.codec_context.time_base = base
            if aspect is not None:
                video.codec_context.sample_aspect_ratio = aspect
            for name, value in (color or {}).items():
                setattr(video.codec_context, name, value)
            tracks.append((video, pictures))
        video = tracks[0][0]
        if turned:
            video.set_display_rotation(turned)
        if matrix is not None:
            video.set_display_matrix(matrix)
        voices: list[Any] = [file.add_stream(name, rate=48000, layout="mono") for name in sound]
        for voice in voices:
            if language:
                voice.metadata["language"] = language
        texts: Any = None
        if cues:
            texts = file.add_stream("mov_text" if path.suffix in (".mp4", ".mov") else "srt")
            texts.metadata["language"] = language or "und"
            texts.codec_context.subtitle_header = _NO_STYLES
        file.start_encoding()
        packets = []
        for track, pictures in tracks:
            for picture, time in zip(pictures, times, strict=True):
                frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), format="rgb24")
                frame = frame.reformat(format=pix_fmt)
                frame.pts, frame.time_base = round(time / base), base
                packets += track.encode(frame)
            packets += track.encode(None)
        for number, voice in enumerate(voices):
            count = round((seconds - sound_begins) * 48000)
            wave = 0.3 * np.sin(2 * np.pi * (330 + 220 * number) * np.arange(count) / 48000)
            block = voice.codec_context.frame_size or 1024
            for begin in range(0, count, block):
                part = (wave[None, begin : begin + block] * 32767).astype(np.int16)
                heard = av.AudioFrame.from_ndarray(np.ascontiguousarray(part), format="s16", layout="mono")
                heard.sample_rate, heard.pts = 48000, begin + round(sound_begins * 48000)
                heard.time_base = Fraction(1, 48000)
                packets += voice.encode(heard)
            packets += voice.encode(None)
        for cue in cues:
            text = cue.text.encode()
            packet = av.Packet(len(text).to_bytes(2) + text if path.suffix in (".mp4", ".mov") else text)
            packet.time_base = Fraction(1, 1000)
            packet.pts = packet.dts = round(cue.begin * 1000)
            packet.duration, packet.stream = round((cue.end - cue.begin) * 1000), texts
            packets.append(packet)
        for packet in sorted(packets, key=lambda each: each.dts * each.time_base):
            file.mux(packet)
    return path


@dataclass
class Seen:
    """The first track of pictures in a file as FFmpeg decodes it."""

    times: list[Fraction]  # seconds on the file's clock
    pictures: list[np.ndarray]
    end: Fraction  # at which the last frame is not shown any more


def see(path: Path) -> Seen:
    """Decode all frames; none may be damaged."""
    with av.open(str(path)) as file:
        stream = file.streams.video[0]
        base = stream.time_base
        assert base is not None
        frames = list(file.decode(stream))
        assert not any(frame.is_corrupt for frame in frames)
        times = [frame.pts * base for frame in frames if frame.pts is not None]
        last = frames[-1]
        return Seen(
            times, [frame.to_ndarray(format="rgb24") for frame in frames], times[-1] + (last.duration or 0) * base
        )


def packets_of(path: Path, kind: str, number: int = 0) -> list[tuple[Fraction, bytes]]:
    """Times in seconds and data of the packets of a track of sound, subtitles or pictures."""
    with av.open(str(path)) as file:
        stream = [stream for stream in file.streams if stream.type == kind][number]
        return [
            (packet.pts * packet.time_base, bytes(packet))
            for packet in file.demux(stream)
            if packet.pts is not None and packet.size
        ]


def tracks_of(path: Path) -> list[tuple[str, str]]:
    """The kind and codec of each track."""
    with av.open(str(path)) as file:
        return [
            (stream.type, "" if stream.codec_context is None else stream.codec_context.codec.canonical_name)
            for stream in file.streams
        ]


def video_settings(path: Path) -> dict[str, Any]:
    """What the track of pictures says of its codec, size, pixels and colors (code points of ITU-T H.273)."""
    with av.open(str(path)) as file:
        stream = file.streams.video[0]
        context = stream.codec_context
        frame = next(file.decode(stream))
        return {
            "codec": context.name,
            "size": (context.width, context.height),
            "pix_fmt": context.pix_fmt,
            "aspect": Fraction(stream.sample_aspect_ratio or 1),
            "primaries": int(context.color_primaries),
            "transfer": int(context.color_trc),
            "matrix": int(context.colorspace),
            "range": int(context.color_range),
            "rotation": frame.rotation,
        }


def names_in(folder: Path) -> list[str]:
    """The names of what is in a folder, in order."""
    return sorted(path.name for path in folder.iterdir())
