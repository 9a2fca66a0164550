"""Every error that a user may meet, as one family:

    ToonifyError            exit code 3: toonify could not start on the work, or what is no file's fault has ended it
    ├── UsageError          exit code 2: a flag or an input that cannot be right
    ├── ImageError          one picture cannot be read, drawn or written; the batch goes on
    ├── StyleError          a style card is missing or wrong, or weights are not what the card says
    │   ├── WeightsError    a file of weights is damaged, untrusted, or another than the card pins
    │   ├── DownloadError   the weights could not be fetched
    │   └── TilingError     a network computes over the whole frame what tiles cannot give it
    ├── DeviceError         the device or backend that was asked for cannot run here
    ├── ClusterError        a Ray cluster cannot be reached, or its workers cannot work
    ├── DiskFullError       there is no space for a picture, nor for those that would follow
    ├── AnswersError        a file of survey answers is damaged, forged or of another survey
    ├── TrainingError       exit code 1: a training run had to stop; what it has learned is saved
    └── ExportError         the exported network does not agree with the original, or cannot be written

A message is one line: what is wrong, with which file or flag, and what to type next. It never ends in a full stop.
"""

import errno
import os
import unicodedata
from os import PathLike


class ToonifyError(Exception):
    """Base of all errors that toonify raises on purpose; `str(error)` is the line to show."""

    exit_code = 3


class UsageError(ToonifyError):
    """A flag or an input that cannot be right; nothing was done."""

    exit_code = 2


class ImageError(ToonifyError):
    """One picture cannot be read, drawn or written."""


class StyleError(ToonifyError):
    """A style is unknown, its card is wrong, or its weights are not what the card says."""


class WeightsError(StyleError):
    """A file of weights is damaged, holds code, or is another than the card pins."""


class DownloadError(StyleError):
    """The weights of a style could not be fetched."""


class TilingError(StyleError):
    """A network computes over the whole frame what tiles cannot give it."""


class DeviceError(ToonifyError):
    """The device or backend that was asked for cannot run here."""


class ClusterError(ToonifyError):
    """A Ray cluster cannot be reached, or its workers cannot work."""


class DiskFullError(ToonifyError):
    """There is no space for a picture, nor for those that would follow; the run ends."""


class AnswersError(ToonifyError):
    """A file of answers to a survey is damaged, forged or of another survey."""


class TrainingError(ToonifyError):
    """A training run had to stop before its end."""

    exit_code = 1


class ExportError(ToonifyError):
    """An exported network does not agree with the original, or cannot be written."""


def one_line(error: BaseException) -> str:
    """What an exception of somebody else's says, without line breaks; its class where it says nothing."""
    return " ".join(str(error).split()) or type(error).__name__


def no_space(error: OSError) -> bool:
    """Whether a disk is full, or somebody's share of it."""
    return error.errno in (errno.ENOSPC, errno.EDQUOT)


def describe(error: OSError) -> str:
    """What the system refused, in words, with the file that it is about and a way out where there is one."""
    where = f" {display(error.filename)}" if error.filename else ""
    if no_space(error):
        return "no space left on the device; free some, then run the same command again"
    match error.errno:
        case errno.EACCES | errno.EPERM | errno.EROFS:
            return f"no permission to write{where}; choose another place for the output"
        case errno.ENAMETOOLONG:
            return "its name is too long for the file system; choose another name for the output"
        case _:
            return f"{error.strerror or one_line(error)}{where}"


def counted(count: int, noun: str) -> str:
    """A number of things: 1 frame, 2 frames."""
    return f"{count} {noun}{'' if count == 1 else 's'}"


def display(path: PathLike[str] | str | bytes) -> str:
    """A path as it can be printed anywhere.

    What is no UTF-8, and what would steer a terminal or turn the line round, is shown as a question mark.
    """
    text = os.fsencode(path).decode("utf-8", "replace")
    return "".join("?" if char == "\ufffd" or _steers(char) else char for char in text)


def _steers(char: str) -> bool:
    is_control = unicodedata.category(char) in ("Cc", "Cs", "Zl", "Zp")
    return is_control or unicodedata.bidirectional(char) in (
        "LRE",
        "RLE",
        "LRO",
        "RLO",
        "PDF",
        "LRI",
        "RLI",
        "FSI",
        "PDI",
    )
