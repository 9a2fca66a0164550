"""Weights from the Hugging Face hub, through its own client: its cache, tokens, resume, HF_HOME and HF_ENDPOINT."""

import contextlib
import errno
import logging
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from toonify.errors import DownloadError, StyleError, display, no_space, one_line
from toonify.styles.card import HubWeights
from toonify.system.files import is_plain_name

_log = logging.getLogger(__name__)
_BUSY = {429, 500, 502, 503, 504}  # answers after which the client tries again
_MOST_WAIT = 120  # seconds
_SECONDS = re.compile(r"(?:^|t=)(\d+)$")  # of Retry-After and RateLimit


def cache_folder() -> Path:
    """Where toonify keeps what it makes of downloads: beside the hub's cache (HF_HOME moves both)."""
    from huggingface_hub import constants

    return Path(constants.HF_HUB_CACHE).parent / "toonify"


def cached(weights: HubWeights) -> Path | None:
    """The file in the hub's cache, without asking the network; None if it is not there."""
    from huggingface_hub import try_to_load_from_cache

    if not all(map(is_plain_name, (weights.repository, weights.file, weights.revision))):
        named = display(f"{weights.repository}/{weights.file} at {weights.revision}")
        raise StyleError(f"no hub has {named}; mend the card")
    try:
        found = try_to_load_from_cache(weights.repository, weights.file, revision=weights.revision)
    except ValueError as error:  # the client's HFValidationError is one, too
        raise StyleError(
            f"no hub has {weights.repository}/{weights.file}: {one_line(error)}; correct it in the style's .json"
        ) from error
    return Path(found) if isinstance(found, str) else None


def fetch(weights: HubWeights, *, way_out: str = "connect once") -> Path:
    """The file in the hub's cache, downloaded if need be.

    The client's progress bar is shown if this module's logger is enabled for INFO.

    `way_out` is what to do where there is no network. Raises DownloadError: one line for no network, no such file, no
    access, no space.
    """
    if (path := cached(weights)) is not None:
        return path
    from huggingface_hub import constants, errors, hf_hub_download
    from huggingface_hub.utils.tqdm import disable_progress_bars, enable_progress_bars

    what = f"{weights.repository}/{weights.file}"
    if not constants.HF_HUB_OFFLINE and (problem := reach()) is not None:  # the client would go on trying for 23 s
        raise DownloadError(f"{_no_network(what, way_out)} ({problem})")
    (enable_progress_bars if _log.isEnabledFor(logging.INFO) else disable_progress_bars)()
    try:
        with _patience(what):
            return Path(hf_hub_download(weights.repository, weights.file, revision=weights.revision))
    except DownloadError:
        raise
    except errors.GatedRepoError as error:
        raise DownloadError(f"{what} asks for a login; type `hf auth login` and try again") from error
    except errors.RepositoryNotFoundError as error:
        raise DownloadError(f"there is no {weights.repository} on {_hub()}, or it is private") from error
    except errors.RevisionNotFoundError as error:
        raise DownloadError(f"{weights.repository} on {_hub()} has no revision {weights.revision}") from error
    except errors.LocalEntryNotFoundError as error:
        if constants.HF_HUB_OFFLINE:
            raise DownloadError(
                f"{what} is not in the cache and HF_HUB_OFFLINE is set; unset it, or copy a cache to HF_HOME"
            ) from error
        raise DownloadError(_no_network(what, way_out)) from error
    except errors.EntryNotFoundError as error:
        raise DownloadError(f"{what} is not on {_hub()} at revision {weights.revision}") from error
    except errors.HfHubHTTPError as error:
        status = error.response.status_code if error.response is not None else "an error"
        raise DownloadError(f"{_hub()} answered {status} for {what}; try again later") from error
    except OSError as error:
        if no_space(error):
            raise DownloadError(
                f"no space for {what} ({weights.megabytes:g} MB) in {cache_folder().parent}; free some or set HF_HOME"
            ) from error
        if error.errno in (errno.EACCES, errno.EROFS, errno.EPERM):
            raise DownloadError(f"the cache {cache_folder().parent} cannot be written; set HF_HOME") from error
        raise DownloadError(f"{what} did not arrive whole ({one_line(error)[:160]}); try again") from error
    except Exception as error:  # the HTTP client's own errors (connections, timeouts) are no OSErrors
        raise DownloadError(f"{_no_network(what, way_out)} ({one_line(error)[:160]})") from error


@contextlib.contextmanager
def _patience(what: str) -> Iterator[None]:
    """Within, the client waits two minutes at most where a server says for how long; it would wait an hour.

    Raises DownloadError from within.
    """
    from huggingface_hub.utils import get_session

    asked = 0

    def listen(response: Any) -> None:
        nonlocal asked
        if response.status_code not in _BUSY:
            return
        found = (_SECONDS.search(response.headers.get(name, "")) for name in ("retry-after", "ratelimit"))
        seconds = next((int(match[1]) for match in found if match is not None), 0)
        asked += seconds
        if asked > _MOST_WAIT:
            raise DownloadError(f"{_hub()} is busy and wants {what} to be asked for in {seconds} s; try again then")

    client = get_session()
    before = client.event_hooks
    client.event_hooks = {**before, "response": [*before.get("response", []), listen]}
    try:
        yield
    finally:
        client.event_hooks = before


def can_fetch() -> bool:
    """Whether there is a hub to fetch from: it answers, and HF_HUB_OFFLINE does not forbid to ask."""
    from huggingface_hub import constants

    return not constants.HF_HUB_OFFLINE and reach() is None


def forget(path: Path) -> None:
    """Take a file that turned out bad out of the hub's cache, so that the next try fetches it anew."""
    blob = path.resolve()
    path.unlink(missing_ok=True)
    blob.unlink(missing_ok=True)


def reach(url: str | None = None) -> str | None:
    """None if the hub (or the server of `url`) answers; otherwise what went wrong."""
    from huggingface_hub import constants
    from huggingface_hub.utils import get_session

    try:
        get_session().head(url or constants.ENDPOINT, timeout=5)
    except Exception as error:  # the HTTP client's errors have no common public base
        return one_line(error)[:160]
    return None


def _hub() -> str:
    from huggingface_hub import constants

    return constants.ENDPOINT.removeprefix("https://")


def _no_network(what: str, way_out: str) -> str:
    return (
        f"{what} is not in the cache and {_hub()} cannot be reached; {way_out}, "
        f"or copy {cache_folder().parent} from a machine that has it"
    )
