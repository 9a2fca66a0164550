import threading
from pathlib import Path

import cv2
import numpy as np
import pytest

from toonify.system.memory import Allowance, _left_in_groups, ran_out

PATIENCE = 5  # seconds after which a test counts as hung


def test_what_fits_is_let_through_and_the_rest_waits() -> None:
    allowance = Allowance(10)
    allowance.take(4)
    allowance.take(6)
    through = threading.Event()

    def take_more() -> None:
        allowance.take(5)
        through.set()

    thread = threading.Thread(target=take_more)
    thread.start()
    assert not through.wait(0.1)
    allowance.give_back(4)
    assert not through.wait(0.1)  # 6 + 5 are still too much
    allowance.give_back(6)
    assert through.wait(PATIENCE)
    thread.join()


def test_what_is_larger_than_all_goes_alone() -> None:
    allowance = Allowance(10)
    allowance.take(1000)
    allowance.give_back(1000)
    allowance.take(10)


def test_closing_ends_all_waiting() -> None:
    allowance = Allowance(1)
    allowance.take(1)
    ended = threading.Event()

    def wait() -> None:
        with pytest.raises(InterruptedError):
            allowance.take(1)
        ended.set()

    thread = threading.Thread(target=wait)
    thread.start()
    allowance.close()
    assert ended.wait(PATIENCE)
    thread.join()
    with pytest.raises(InterruptedError):
        allowance.take(1)


def group(folder: Path, limit: str, used: int, cache: int, *, version: int = 2) -> None:
    """What the kernel shows of a control group."""
    names = ("memory.max", "memory.current") if version == 2 else ("memory.limit_in_bytes", "memory.usage_in_bytes")
    folder.mkdir(parents=True, exist_ok=True)
    for name, value in zip(names, (limit, used), strict=True):
        (folder / name).write_text(f"{value}\n")
    kind = "inactive_file" if version == 2 else "total_inactive_file"
    (folder / "memory.stat").write_text(f"anon 1\n{kind} {cache}\n")


def test_limits_of_all_groups_above_count(tmp_path: Path) -> None:
    group(tmp_path / "groups" / "job" / "step", "max", 10, 0)
    group(tmp_path / "groups" / "job", "1000", 700, 50)
    (tmp_path / "groups" / "memory.max").write_text("5")  # beside the tree's root there is nothing
    (tmp_path / "cgroup").write_text("0::/job/step\n")
    assert list(_left_in_groups(tmp_path / "cgroup", tmp_path / "groups")) == [350]


def test_in_a_container_the_tree_begins_at_its_own_group(tmp_path: Path) -> None:
    group(tmp_path / "groups" / "memory", "900", 1000, 0, version=1)
    (tmp_path / "cgroup").write_text("3:cpu,cpuacct:/x\n2:memory:/docker/ab:c\n")
    assert list(_left_in_groups(tmp_path / "cgroup", tmp_path / "groups")) == [0]


def test_without_groups_there_is_no_limit(tmp_path: Path) -> None:
    assert list(_left_in_groups(tmp_path / "none", tmp_path)) == []


def test_opencvs_lack_of_memory_is_lack_of_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(cv2.error) as caught:
        cv2.resize(np.zeros((1, 1), np.uint8), (1 << 24, 1 << 24))
    full = cv2.error("Insufficient memory")
    full.code = cv2.Error.StsNoMem
    assert ran_out(full) and ran_out(MemoryError())
    assert not ran_out(ValueError()) and ran_out(caught.value) == (caught.value.code == cv2.Error.StsNoMem)
