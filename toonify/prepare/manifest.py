"""What a prepared folder says of itself: manifest.json tells where every picture comes from, and what was left out."""

from collections import Counter
from pathlib import Path, PurePath
from typing import Literal

import msgspec

from toonify.errors import UsageError, display, one_line
from toonify.system.json_data import decode_json

MANIFEST = "manifest.json"
_STEPS = 1  # of the way from source to picture: raise it when it changes, and folders count as made otherwise

Kind = Literal["photos", "cartoons"]
Corners = tuple[int, int, int, int]  # of a box: left, top, right, bottom
Reason = Literal["too small", "black", "white", "plain", "credits", "near-duplicate"]


class Options(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How pictures are chosen and cut. What two runs into one folder must have in common."""

    kind: Kind
    size: int = 256  # of the squares, in pixels
    crops: int = 0  # random squares of each picture; 0: one, in the middle
    min_size: int = 256  # of a picture's shorter side; smaller ones are left out
    every: float | None = None  # seconds between the frames that are taken of a video; None: one of every shot
    hash_distance: int = 6  # bits by which the hashes of near-duplicates differ, at most
    seed: int = 0  # of the random squares
    steps: int = _STEPS

    def flags(self) -> dict[str, str]:
        """The options as they are typed, by field."""
        return {
            "kind": self.kind,
            "size": f"--size {self.size}",
            "crops": f"--crop random:{self.crops}" if self.crops else "--crop center",
            "min_size": f"--min-size {self.min_size}",
            "every": "no --every" if self.every is None else f"--every {self.every:g}",
            "hash_distance": f"--hash-distance {self.hash_distance}",
            "seed": f"--seed {self.seed}",
            "steps": f"steps of version {self.steps}",
        }


class Cut(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A square that was cut out."""

    file: str  # below the folder, with forward slashes
    box: Corners  # in the picture as it stands upright

    def __post_init__(self) -> None:
        check_below(self.file)


class Picture(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """A picture, or a frame of a video."""

    width: int  # without the black bars of a video
    height: int
    seconds: float | None = None  # since the beginning of the video
    hash: str | None = None  # perceptual, 16 hexadecimal digits
    sharpness: float = 0.0
    left_out: Reason | None = None
    duplicate_of: str | None = None  # a file of the picture that stays
    cuts: tuple[Cut, ...] = ()  # none if it is left out

    @property
    def rank(self) -> tuple[float, float]:
        """Less is better: of near-duplicates the largest stays, of equally large ones the sharpest."""
        return -self.width * self.height, -self.sharpness


class Source(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A file that pictures were taken of."""

    path: str  # as it was named
    sha256: str
    is_video: bool = False
    inside_bars: Corners | None = None  # what is left of a video's frames without their black bars
    problem: str | None = None  # why there is nothing of it, or not all
    pictures: tuple[Picture, ...] = ()
    notes: tuple[str, ...] = ()  # what the user should know of it, such as "its HDR was tone-mapped to sRGB"

    @property
    def is_broken(self) -> bool:
        """Whether nothing of it could be read."""
        return self.problem is not None and not self.pictures


class Manifest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """All of a prepared folder."""

    toonify: str  # version
    options: Options
    counts: dict[str, int]  # of pictures and frames: kept, left out by reason, broken
    sources: tuple[Source, ...]

    @property
    def files(self) -> set[str]:
        """The names of all pictures in the folder."""
        return {cut.file for source in self.sources for picture in source.pictures for cut in picture.cuts}


def check_below(name: str) -> None:
    """Raise ValueError unless a name leads to a file below the folder that it is of: folders come from strangers, too.

    msgspec makes an error of its own of it.
    """
    path = PurePath(name)
    if path.anchor or ".." in path.parts or not path.name:
        raise ValueError(f"{name!r} is not below the folder")


def count(sources: tuple[Source, ...]) -> dict[str, int]:
    """How many pictures and frames were kept, and left out by reason; files that could not be read are broken."""
    reasons = Counter(p.left_out for source in sources for p in source.pictures if p.left_out is not None)
    counts = {"kept": sum(p.left_out is None for source in sources for p in source.pictures)}
    counts.update(reasons.most_common())
    if broken := sum(source.is_broken for source in sources):
        counts["broken"] = broken
    return counts


def summary(manifest: Manifest) -> str:
    """One line: `1510 images: 1420 kept, 40 too small, 38 near-duplicates, 12 broken`."""
    images = [source for source in manifest.sources if not source.is_video]
    videos = [source for source in manifest.sources if source.is_video]
    seen = [_plural(len(images), "image")] if images or not videos else []
    if videos:
        frames = sum(len(video.pictures) for video in videos)
        seen.append(f"{_plural(frames, 'frame')} of {_plural(len(videos), 'video')}")
    said = [f"{manifest.counts['kept']} kept"]
    for reason, number in manifest.counts.items():
        if reason == "near-duplicate":
            said.append(_plural(number, reason))
        elif reason != "kept":
            said.append(f"{number} {'with credits' if reason == 'credits' else reason}")
    return f"{' and '.join(seen)}: {', '.join(said)}"


def _plural(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def read_manifest(folder: Path) -> Manifest | None:
    """The manifest of a folder; None if there is none. Raises UsageError if it cannot be understood."""
    path = folder / MANIFEST
    if not path.is_file():
        return None
    try:
        return decode_json(path.read_bytes(), type=Manifest)
    except (OSError, msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise UsageError(f"{display(path)} cannot be understood: {one_line(error)}; give another folder") from error


def encode_manifest(manifest: Manifest) -> bytes:
    """A manifest as JSON with a line for each source, so that people and line tools can read it, too."""
    head = [b"%b: %b" % (msgspec.json.encode(name), msgspec.json.encode(value)) for name, value in _head(manifest)]
    sources = b",\n".join(map(msgspec.json.encode, manifest.sources))
    return b'{\n%b,\n"sources": [\n%b\n]}\n' % (b",\n".join(head), sources)


def _head(manifest: Manifest) -> list[tuple[str, object]]:
    return [("toonify", manifest.toonify), ("options", manifest.options), ("counts", manifest.counts)]
