"""Every error that a user may meet, as one family:

    ToonifyError            exit code 3: toonify could not start on the work
    ├── UsageError          exit code 2: a flag or an input that cannot be right
    ├── ImageError          one picture cannot be read, drawn or written; the batch goes on
    ├── StyleError          a style card is missing or wrong, or weights are not what the card says
    │   ├── WeightsError    a file of weights is damaged, untrusted, or another than the card pins
    │   └── DownloadError   the weights could not be fetched
    ├── DeviceError         the device or backend that was asked for cannot run here
    └── ExportError         the exported network does not agree with the original, or cannot be written

A message is one line: what is wrong, with which file or flag, and what to type next. It never ends in a full stop.
"""


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


class DeviceError(ToonifyError):
    """The device or backend that was asked for cannot run here."""


class ExportError(ToonifyError):
    """An exported network does not agree with the original, or cannot be written."""
