"""One photo from stdin or to stdout, for pipes: `-` in the place of a name."""

import io
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from toonify.errors import ImageError, ToonifyError, UsageError, describe, display
from toonify.images.formats import FormatOption, WrittenFormat
from toonify.images.other_kinds import is_video

if TYPE_CHECKING:
    from toonify.convert.local import SaveOptions
    from toonify.drawing import Style

STREAM = Path("-")


def check_stream(inputs: Sequence[Path], output: Path | None, about_files: Sequence[str], *, pictures: int) -> None:
    """Raise UsageError unless one photo is to become one picture, and the streams that are asked for are there.

    `about_files`: the options that were given and are for files alone.
    """
    if len(inputs) > 1:
        raise UsageError("- is one photo or one picture, and goes with no other input")
    if pictures > 1:
        raise UsageError("- is one picture; give one --style and one --look")
    if about_files:
        raise UsageError(f"- is a stream, and {' and '.join(about_files)} for files; drop it")
    if inputs[0] == STREAM and sys.stdin is None:
        raise UsageError("- needs stdin, which is closed; add < photo.jpg")
    if inputs[0] != STREAM and os.path.isdir(inputs[0]):  # noqa: PTH112 - Path.is_dir raises for a long name
        raise UsageError(f"--output - takes one picture, and {display(inputs[0])} is a folder; give one photo")
    if inputs[0] != STREAM and is_video(inputs[0]):
        raise UsageError(f"- is one picture, and {display(inputs[0])} is a video; give --output NAME.mp4")
    if output in (None, STREAM):
        if sys.stdout is None:
            raise UsageError("- needs stdout, which is closed; add > drawing.jpg")
        if sys.stdout.isatty():
            raise UsageError("- writes the picture to stdout, which is a terminal; add > drawing.jpg")


class Streamed:
    """A photo and where its picture goes; one of them at least is a stream."""

    def __init__(
        self,
        source: Path,
        target: Path,
        format: FormatOption,  # noqa: A002
        *,
        overwrite: bool,
        moving: bool = False,
    ) -> None:
        """With `moving`, the picture may be a GIF. Raises UsageError if the picture cannot be written there."""
        from toonify.jobs.plan import check_output_file

        self._source, self._target, self._overwrite = source, target, overwrite
        self._format: FormatOption | WrittenFormat = format
        if target != STREAM:
            named = check_output_file(target, [], overwrite=overwrite, moving=moving)
            if format not in ("same", named):
                raise UsageError(f"--output {display(target)} and --format {format} do not agree; drop one of them")
            self._format = named

    def convert(self, style: "Style", save: "SaveOptions", *, quiet: bool) -> int:
        """Draw it, and return the exit code. Raises ToonifyError if the picture cannot be written."""
        from toonify.convert.local import draw_stream
        from toonify.system.files import write_atomically

        name = "stdin" if self._source == STREAM else display(self._source)
        try:
            data = sys.stdin.buffer.read() if self._source == STREAM else self._source.read_bytes()
            picture, notes = draw_stream(io.BytesIO(data), style, save, self._format)
        except (ImageError, OSError) as error:
            what = error if isinstance(error, ImageError) else f"cannot be read: {error.strerror}"
            print(f"error: {name}: {what}", file=sys.stderr)
            return 1
        for note in notes if not quiet else ():
            print(f"{name}: {note}", file=sys.stderr)
        if self._target != STREAM:
            try:
                write_atomically(self._target, picture, overwrite=self._overwrite)
            except OSError as error:
                raise ToonifyError(f"{display(self._target)} cannot be written: {describe(error)}") from error
            return 0
        sys.stdout.buffer.write(picture)
        sys.stdout.buffer.flush()
        return 0
