import errno
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from toonify.system.files import write_atomically

WAYS = {  # what the system refuses, and how
    "as the system can": ((), 0),
    "without nameless files": (("O_TMPFILE",), 0),
    "without hard links": (("link",), errno.EPERM),
    "with neither": (("O_TMPFILE", "link"), errno.EPERM),
    "through FUSE": (("O_TMPFILE", "link"), errno.ENOSYS),
}


@pytest.fixture(params=WAYS)
def way(request, monkeypatch) -> None:
    """Every way of writing, on whatever system the tests run: as on Linux, on macOS, on FAT, on a network mount."""
    missing, code = WAYS[request.param]

    def refuse(*_arguments, **_options) -> None:
        raise OSError(code, os.strerror(code))

    if "O_TMPFILE" in missing:
        monkeypatch.delattr(os, "O_TMPFILE", raising=False)
    if "link" in missing:
        monkeypatch.setattr(os, "link", refuse)


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


pytestmark = pytest.mark.usefixtures("way")


@pytest.mark.parametrize("data", [b"", b"picture", bytes(range(256)) * 5000], ids=["empty", "small", "large"])
def test_a_file_appears_whole_and_alone(tmp_path, data):
    write_atomically(tmp_path / "out.png", data)
    assert contents(tmp_path) == {"out.png": data}


def test_a_file_is_written_whole_when_the_system_takes_it_in_pieces(tmp_path, monkeypatch):
    write = os.write
    monkeypatch.setattr(os, "write", lambda descriptor, data: write(descriptor, data[:7]))
    write_atomically(tmp_path / "out.png", bytes(range(100)))
    assert contents(tmp_path) == {"out.png": bytes(range(100))}


def test_what_is_there_is_refused_and_stays_untouched(tmp_path):
    (tmp_path / "out.png").write_bytes(b"precious")
    with pytest.raises(FileExistsError):
        write_atomically(tmp_path / "out.png", b"drawing")
    assert contents(tmp_path) == {"out.png": b"precious"}


def test_a_link_into_nowhere_counts_as_being_there(tmp_path):
    (tmp_path / "out.png").symlink_to(tmp_path / "nowhere")
    with pytest.raises(FileExistsError):
        write_atomically(tmp_path / "out.png", b"drawing")
    assert [path.name for path in tmp_path.iterdir()] == ["out.png"]
    assert (tmp_path / "out.png").is_symlink()


def test_what_is_there_is_replaced_when_that_is_asked_for(tmp_path):
    (tmp_path / "out.png").write_bytes(b"old")
    write_atomically(tmp_path / "out.png", b"new", overwrite=True)
    assert contents(tmp_path) == {"out.png": b"new"}


def test_overwriting_works_where_nothing_is_yet(tmp_path):
    write_atomically(tmp_path / "out.png", b"new", overwrite=True)
    assert contents(tmp_path) == {"out.png": b"new"}


@pytest.mark.parametrize("overwrite", [False, True])
def test_a_full_disk_leaves_nothing_behind(tmp_path, monkeypatch, overwrite):
    (tmp_path / "old.png").write_bytes(b"old")
    write = os.write
    calls = []

    def fill_up(descriptor: int, data: bytes) -> int:
        calls.append(descriptor)
        if len(calls) > 1:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return write(descriptor, data[:10])

    monkeypatch.setattr(os, "write", fill_up)
    with pytest.raises(OSError, match="No space left") as caught:
        write_atomically(tmp_path / ("old.png" if overwrite else "new.png"), bytes(100), overwrite=overwrite)
    assert caught.value.errno == errno.ENOSPC
    assert len(calls) == 2
    assert contents(tmp_path) == {"old.png": b"old"}


def test_an_interruption_leaves_nothing_behind(tmp_path, monkeypatch):
    def interrupt(_descriptor: int) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", interrupt)
    with pytest.raises(KeyboardInterrupt):
        write_atomically(tmp_path / "out.png", b"drawing")
    assert contents(tmp_path) == {}


def test_no_descriptor_stays_open(tmp_path):
    folder = Path("/proc/self/fd")
    if not folder.is_dir():
        pytest.skip("needs /proc")
    before = len(list(folder.iterdir()))
    for number in range(5):
        write_atomically(tmp_path / f"{number}.png", b"drawing")
        with pytest.raises(FileExistsError):
            write_atomically(tmp_path / f"{number}.png", b"drawing")
    assert len(list(folder.iterdir())) == before


def test_a_folder_that_is_missing_is_an_error_and_is_not_made(tmp_path):
    with pytest.raises(FileNotFoundError):
        write_atomically(tmp_path / "missing" / "out.png", b"drawing")
    assert contents(tmp_path) == {}


def test_a_folder_in_the_place_of_the_file_is_left_alone(tmp_path):
    (tmp_path / "out.png").mkdir()
    for overwrite in (False, True):
        with pytest.raises(OSError, match=r"File exists|Is a directory"):
            write_atomically(tmp_path / "out.png", b"drawing", overwrite=overwrite)
    assert [path.name for path in tmp_path.iterdir()] == ["out.png"]


@pytest.mark.skipif(os.name == "nt", reason="Windows has no umask")
@pytest.mark.parametrize("overwrite", [False, True])
@pytest.mark.parametrize("mask", [0o022, 0o077, 0o002])
def test_permissions_follow_the_umask(tmp_path, mask, overwrite):
    before = os.umask(mask)
    try:
        write_atomically(tmp_path / "out.png", b"drawing", overwrite=overwrite)
    finally:
        os.umask(before)
    assert (tmp_path / "out.png").stat().st_mode & 0o777 == 0o666 & ~mask


@pytest.mark.parametrize("way", ["as the system can"], indirect=True)
def test_a_process_that_is_killed_leaves_whole_files_only(tmp_path):
    try:
        os.close(os.open(tmp_path, os.O_TMPFILE | os.O_WRONLY))
    except (AttributeError, OSError):
        pytest.skip("needs nameless files (Linux)")
    data = b"0123456789abcdef" * 20_000
    program = (
        "import itertools, sys; from pathlib import Path; from toonify.system.files import write_atomically\n"
        "for n in itertools.count():\n"
        f"    write_atomically(Path(sys.argv[1], f'{{n}}.png'), {data[:16]!r} * 20_000)\n"
        "    print(n, flush=True)"
    )
    for finished in (1, 3, 6):
        folder = tmp_path / str(finished)
        folder.mkdir()
        with subprocess.Popen([sys.executable, "-c", program, folder], stdout=subprocess.PIPE) as process:
            for _ in range(finished):
                assert process.stdout.readline()
            process.send_signal(signal.SIGKILL)
        found = contents(folder)
        assert len(found) >= finished
        assert all(name.endswith(".png") and content == data for name, content in found.items())
