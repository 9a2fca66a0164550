"""Options of `toonify convert` that are for videos."""

import math
from fractions import Fraction
from typing import TYPE_CHECKING, Annotated, Any

import typer

from toonify.videos.formats import CODECS, CodecName

if TYPE_CHECKING:
    from toonify.convert.batches import Batch
    from toonify.drawing.moving.options import ClipOptions

_VIDEOS = "Videos"


def _option(*names: str, **more: Any) -> Any:
    return typer.Option(*names, rich_help_panel=_VIDEOS, **more)


VideosOption = Annotated[
    bool, _option("--videos", help="Draw the videos in folders, too; those that are named are drawn anyhow.")
]
StartOption = Annotated[
    str | None, _option(metavar="TIME", help="Where drawing begins: seconds, or 1:02:03.5 from the first frame on.")
]
EndOption = Annotated[str | None, _option(metavar="TIME", help="Where drawing ends.")]
PreviewOption = Annotated[
    float | None, _option(min=0.04, metavar="SECONDS", help="So many seconds from the middle, to choose by.")
]
FpsOption = Annotated[
    str | None, _option(metavar="N", help="Frames a second, such as 12 or 30000/1001. Default: each at its own time.")
]
CodecOption = Annotated[
    CodecName | None, _option(help="How pictures are compressed. Default: h264; vp9 where --output is a .webm.")
]
NoAudioOption = Annotated[bool, _option("--no-audio", help="Leave out the sound.")]


def clip_options(
    *,
    start: str | None,
    end: str | None,
    preview: float | None,
    fps: str | None,
    codec: CodecName,
    no_audio: bool,
) -> "ClipOptions":
    """What the flags say of videos. Raises UsageError."""
    from toonify.drawing.moving.options import ClipOptions

    return ClipOptions(
        codec=codec,
        start=0.0 if start is None else _seconds("--start", start),
        end=None if end is None else _seconds("--end", end),
        preview=preview,
        rate=None if fps is None else _rate(fps),
        audio=not no_audio,
    )


def check_clip_flags(batches: "list[Batch]", given: dict[str, Any], *, format: str, ray: bool) -> None:  # noqa: A002
    """Raise UsageError for flags that have nothing to act on, and for those that videos do not go together with.

    `given` are the flags that are for videos alone, with their values.
    """
    from toonify.errors import UsageError

    clips, photos = batches[0].clips, batches[0].jobs
    if not clips:
        if idle := [flag for flag, value in given.items() if value]:
            raise UsageError(
                f"{idle[0]} is for videos, and none is among the inputs; name one, add --videos to draw those in "
                "folders, or drop it"
            )
        return
    if format != "same" and not photos:
        raise UsageError(
            f"--format {format} is for pictures; choose how a video is compressed with --codec {', '.join(CODECS)}, "
            "and its container with --output NAME.mp4, .mov, .mkv or .webm"
        )
    if ray:
        raise UsageError("--ray draws photos; draw the videos without it")


def _seconds(flag: str, text: str) -> float:
    """A time as seconds or h:mm:ss. Raises UsageError for anything else."""
    from toonify.errors import UsageError

    parts = text.split(":")
    try:
        numbers = [float(part) for part in parts]
    except ValueError:
        numbers = []
    if not 1 <= len(numbers) <= 3 or any(not 0 <= number < 1e6 for number in numbers):
        raise UsageError(f"{flag} {text}: give seconds, or a time such as 1:02:03.5")
    return math.fsum(number * 60.0**power for power, number in enumerate(reversed(numbers)))


def _rate(text: str) -> Fraction:
    """Frames a second. Raises UsageError for what is none."""
    from toonify.errors import UsageError

    try:
        rate = Fraction(text)
    except (ValueError, ZeroDivisionError):
        rate = Fraction(0)
    if not 0 < rate <= 240:
        raise UsageError(f"--fps {text}: give frames a second, such as 12, 23.976 or 30000/1001, up to 240")
    return rate
