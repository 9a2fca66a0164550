"""Which files a tally reads: answers, and the key that goes with them."""

from collections.abc import Iterable, Sequence
from pathlib import Path

import msgspec

from toonify.errors import UsageError, display
from toonify.study.plan import Key
from toonify.system.json_data import decode_json

_KEY_SUFFIX = ".key.json"


def find_answers(inputs: Iterable[Path]) -> list[Path]:
    """The files that are named, and the *.json files of folders (but for keys and hidden ones), each once, in order.

    Raises UsageError if an input does not exist, or if there are none in all of them.
    """
    inputs = list(inputs)
    found: dict[Path, Path] = {}
    for path in inputs:
        try:
            path.stat()
        except OSError as error:
            raise UsageError(f"{display(path)}: {error.strerror}") from error
        for file in _answers_in(path) if path.is_dir() else [path]:
            found.setdefault(file.absolute(), file)
    if not found:
        raise UsageError(f"no answers (*.json) in {', '.join(display(path) for path in inputs)}")
    return list(found.values())


def _answers_in(folder: Path) -> list[Path]:
    files = sorted(folder.glob("*.json"))
    return [file for file in files if not file.name.startswith(".") and not file.name.endswith(_KEY_SUFFIX)]


def find_key(inputs: Sequence[Path], named: Path | None) -> Key:
    """The key `named`; or the only one in or beside the folders of answers, or in the current folder.

    Raises UsageError if there is none, several, or something else in its place.
    """
    if named is not None:
        return _read_key(named)
    folders = [path if path.is_dir() else path.parent for path in inputs]
    places = [*folders, *(folder.absolute().parent for folder in folders), Path()]
    keys = {path.resolve(): path for place in places for path in sorted(place.glob(f"*{_KEY_SUFFIX}"))}
    if len(keys) != 1:
        several = f"several keys ({', '.join(sorted(path.name for path in keys))})" if keys else "no *.key.json"
        raise UsageError(f"{several} in or beside {display(folders[0])}; name the survey's with --key")
    return _read_key(next(iter(keys.values())))


def _read_key(path: Path) -> Key:
    if path.exists() and not path.is_file():  # to open a pipe would wait for ever
        raise UsageError(f"--key {display(path)} is not a regular file; give the FILE.key.json of the survey")
    try:
        return decode_json(path.read_bytes(), type=Key)
    except OSError as error:
        raise UsageError(f"--key {display(path)}: {error.strerror}") from error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        # It may quote names from the file, which are whatever somebody wrote there.
        raise UsageError(f"--key {display(path)} is no key of a survey: {display(str(error))[:200]}") from error
