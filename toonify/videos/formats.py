"""The containers and codecs that videos are written in, and what each container holds: a new one is a line."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

CodecName = Literal["h264", "h265", "av1", "vp9"]
ContainerName = Literal["mp4", "mov", "mkv", "webm"]


@dataclass(frozen=True)
class Codec:
    """A way to compress pictures, and the encoder that does it."""

    encoder: str  # FFmpeg's name
    worst: float  # its constant rate factor at quality 0, and what a quality of 100 takes from it
    span: float
    options: Mapping[str, str] = field(default_factory=dict)
    tag: str | None = None  # in MP4, where players ask for another than FFmpeg's own

    def rate_factor(self, quality: int) -> float:
        """The encoder's constant rate factor for a quality of 1..100: less is better."""
        return round(self.worst - self.span * quality / 100, 1)


# A drawing has flat areas and hard edges, which cost little: the presets take speed where files grow by a few percent.
CODECS: dict[CodecName, Codec] = {
    "h264": Codec("libx264", 46, 32, {"preset": "fast"}),
    "h265": Codec("libx265", 48, 32, {"preset": "fast", "x265-params": "log-level=error"}, tag="hvc1"),
    "av1": Codec("libsvtav1", 63, 46, {"preset": "8"}),
    "vp9": Codec("libvpx-vp9", 63, 46, {"b": "0", "deadline": "good", "cpu-used": "4", "row-mt": "1"}),
}
DEFAULT_QUALITY = 85


@dataclass(frozen=True)
class Container:
    """A kind of file that holds a video."""

    muxer: str  # FFmpeg's name
    suffixes: tuple[str, ...]  # of its files; the first is the one that new names get
    codecs: tuple[CodecName, ...]  # that it holds; the first is the default
    audio: frozenset[str] | None  # codecs that are copied into it; None: any
    transcoded: str  # the encoder for others
    subtitles: frozenset[str] | None  # codecs that are copied into it; None: any
    texts: str  # the codec of others, if they are text
    aspects: bool = False  # whether pixels may be other than square, in any codec
    keys: bool = False  # whether it keeps metadata by any name
    attachments: bool = False  # such as fonts for subtitles
    options: Mapping[str, str] = field(default_factory=dict)


_FAST_START = {"movflags": "faststart"}
_SAME_BYTES = {"fflags": "+bitexact"}  # no random numbers in Matroska, so that the same video is the same file
CONTAINERS: dict[ContainerName, Container] = {
    "mp4": Container(
        muxer="mp4",
        suffixes=(".mp4", ".m4v"),
        codecs=("h264", "h265", "av1", "vp9"),
        audio=frozenset({"aac", "ac3", "alac", "eac3", "flac", "mp3", "opus"}),
        transcoded="aac",
        subtitles=frozenset({"mov_text"}),
        texts="mov_text",
        aspects=True,
        options=_FAST_START,
    ),
    "mov": Container(
        muxer="mov",
        suffixes=(".mov",),
        codecs=("h264", "h265"),
        audio=frozenset(
            {"aac", "ac3", "alac", "eac3", "mp3"}
            | {"pcm_alaw", "pcm_f32le", "pcm_mulaw", "pcm_s16be", "pcm_s16le", "pcm_s24le"}
        ),
        transcoded="aac",
        subtitles=frozenset({"mov_text"}),
        texts="mov_text",
        aspects=True,
        keys=True,
        options={"movflags": "faststart+use_metadata_tags"},
    ),
    "mkv": Container(
        muxer="matroska",
        suffixes=(".mkv",),
        codecs=("h264", "h265", "av1", "vp9"),
        audio=None,
        transcoded="libopus",
        subtitles=frozenset({"ass", "dvb_subtitle", "dvd_subtitle", "hdmv_pgs_subtitle", "ssa", "subrip", "webvtt"}),
        texts="subrip",
        keys=True,
        attachments=True,
        options=_SAME_BYTES,
    ),
    "webm": Container(
        muxer="webm",
        suffixes=(".webm",),
        codecs=("vp9", "av1"),
        audio=frozenset({"opus", "vorbis"}),
        transcoded="libopus",
        subtitles=frozenset({"webvtt"}),
        texts="webvtt",
        keys=True,
        options=_SAME_BYTES,
    ),
}
CONTAINER_OF_SUFFIX: dict[str, ContainerName] = {
    suffix: name for name, container in CONTAINERS.items() for suffix in container.suffixes
}
FALLBACK: ContainerName = "mp4"  # of videos that are in none of these


def choose_container(suffix: str, codec: CodecName) -> ContainerName:
    """The container for a video from a file with that suffix: the same where it holds the codec."""
    name = CONTAINER_OF_SUFFIX.get(suffix.lower(), FALLBACK)
    return name if codec in CONTAINERS[name].codecs else FALLBACK
