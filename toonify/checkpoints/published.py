"""Published networks that metrics and content losses need: in PyTorch's folder, fetched once, checked each time."""

import logging
import os
from dataclasses import dataclass
from pathlib import Path

from toonify.checkpoints.hub import reach
from toonify.errors import DownloadError, WeightsError, display, one_line
from toonify.system.files import file_digest

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Published:
    """A file of weights as its makers publish it."""

    title: str
    url: str
    sha256: str  # of the file, or its first digits, where its makers tell only these
    megabytes: float
    other_names: tuple[str, ...] = ()  # under which other tools keep the same file
    folder: str = ""  # a folder of its own, for a file whose name says little

    @property
    def path(self) -> Path:
        """Where it is or will be: PyTorch's own folder, which other tools share (TORCH_HOME moves it)."""
        cache = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache"))
        folder = Path(os.environ.get("TORCH_HOME", cache / "torch")).expanduser() / "hub" / "checkpoints"
        folder = folder / self.folder
        names = [self.url.rpartition("/")[2], *self.other_names]
        return next((folder / name for name in names if (folder / name).is_file()), folder / names[0])


VGG16 = Published(
    title="VGG-16",
    url="https://download.pytorch.org/models/vgg16-397923af.pth",
    sha256="397923af8e79cdbb6a7127f12361acd7a2f83e06b05044ddf496e83de57a5bf0",
    megabytes=553.4,
)


def fetch(weights: Published, *, flag: str | None = None) -> Path:
    """The path of a published file, downloaded if it is not there, with its digest checked.

    `flag` names the option that takes a local file instead, if there is one. Raises DownloadError, WeightsError.
    """
    path = weights.path
    instead = "" if flag is None else f", or give {flag} FILE"
    if path.is_file():
        if not file_digest(path).startswith(weights.sha256):
            raise WeightsError(f"{display(path)} is not the published {weights.title}; delete it{instead}")
        return path
    problem = reach(weights.url)
    if problem is not None:
        raise DownloadError(
            f"{weights.title} is not on this machine and cannot be fetched ({problem}); "
            f"download {weights.url} and save it as {display(path)}{instead}"
        )
    from torch.hub import download_url_to_file

    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        download_url_to_file(
            weights.url, str(path), hash_prefix=weights.sha256, progress=_log.isEnabledFor(logging.INFO)
        )
    except (OSError, RuntimeError) as error:  # RuntimeError: another digest
        raise DownloadError(
            f"{weights.title} ({weights.megabytes:g} MB) did not arrive whole: {one_line(error)[:160]}; try again, "
            f"or download {weights.url} and save it as {display(path)}"
        ) from error
    return path
