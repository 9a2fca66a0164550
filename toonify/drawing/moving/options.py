"""What of a clip is drawn and how it is written, and what became of it."""

from dataclasses import dataclass, field, replace
from fractions import Fraction
from io import BufferedIOBase
from pathlib import Path

from toonify.drawing.identity import identity, told_flags
from toonify.drawing.plan import DrawingPlan
from toonify.errors import UsageError, display
from toonify.jobs.note import Recipe, making_notes, with_flag
from toonify.videos.formats import CONTAINER_OF_SUFFIX, CONTAINERS, FALLBACK, CodecName, ContainerName

_RECIPE = 1  # of the steps from video to video
DAMAGE = "damage"  # the flag of a note under which stands what of the source could not be read


@dataclass(frozen=True)
class ClipOptions:
    """What of a clip is drawn, and how it is written."""

    container: ContainerName = "mp4"
    codec: CodecName = "h264"
    quality: int | None = None  # 1..100
    start: float = 0.0  # seconds from the first picture
    end: float | None = None
    preview: float | None = None  # seconds from the middle, in the place of `start` and `end`
    rate: Fraction | None = None  # frames a second; None: each frame at its own time
    audio: bool = True
    strip_metadata: bool = False
    before_after: bool = False

    def __post_init__(self) -> None:
        """Raise UsageError for a part of a clip that is none."""
        if self.preview is not None and (self.start or self.end is not None):
            raise UsageError("--preview takes seconds from the middle; drop it, or --start and --end")
        if self.end is not None and self.end <= self.start:
            raise UsageError(f"--end {self.end:g} is not after --start {self.start:g}; give a later end")

    def named(self, out: Path) -> "ClipOptions":
        """The same in the container that a file's name asks for. Raises UsageError if that cannot be."""
        container = CONTAINER_OF_SUFFIX.get(out.suffix.lower())
        if container is None:
            raise UsageError(
                f"{display(out)}: a video is written in {', '.join(CONTAINER_OF_SUFFIX)}; give such a name"
            )
        if self.codec not in CONTAINERS[container].codecs:
            raise UsageError(f"{display(out)} holds {', '.join(CONTAINERS[container].codecs)}, not {self.codec}")
        return replace(self, container=container)


@dataclass
class ClipResult:
    """What became of a clip."""

    width: int  # of the source as it is shown
    height: int
    output_width: int
    output_height: int
    frames: int  # pictures in the new file
    repeated: int  # of these, as the one before, and not drawn again
    dropped: int  # frames of the source that could not be read
    network_seconds: float  # that the drawings took
    codecs: dict[str, str]  # of pictures and sound, before and after
    notes: list[str] = field(default_factory=list)
    problem: str | None = None  # what of the source is damaged and missing


def options_for(out: Path) -> ClipOptions:
    """The default options for a file of that name. Raises UsageError if it is no video's."""
    container = CONTAINER_OF_SUFFIX.get(out.suffix.lower(), FALLBACK)
    return ClipOptions(codec=CONTAINERS[container].codecs[0]).named(out)


def clip_notes(file: BufferedIOBase, plan: DrawingPlan, options: ClipOptions) -> list[str]:
    """What a video says of its making from an opened source, and what others say that need not be drawn anew.

    As with pictures, those are of the other precision, where none was named.
    """
    return making_notes(file, *(_recipe(each, options) for each in plan.as_good()))


def _recipe(plan: DrawingPlan, options: ClipOptions) -> Recipe:
    flags = told_flags(plan) | {
        "--codec": options.codec,
        "--quality": options.quality or "default",
        "--start": options.start,
        "--end": options.end,
        "--preview": options.preview,
        "--fps": None if options.rate is None else str(options.rate),
        "--no-audio": not options.audio,
        "--strip-metadata": options.strip_metadata,
        "--before-after": options.before_after,
        "container": options.container,
    }
    plain = {**vars(options), "rate": flags["--fps"]}
    return Recipe(f"{plan.style.card.id}/{plan.style.name}", _RECIPE, [identity(plan), "clip", plain], flags)


def note_of_damage(note: str, damage: str | None) -> str:
    """A note that says what of the source could not be read; the same where that is nothing."""
    return with_flag(note, DAMAGE, damage)
