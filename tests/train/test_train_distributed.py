"""One run in two processes: the same weights as one process has, one writer, and an end that all know of."""

import multiprocessing
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from processes import free_port, in_both
from torch import Tensor
from training import checkpoint, flags, losses, notes, same, steps_saved, train

from toonify.system import distributed

pytestmark = [
    pytest.mark.usefixtures("one_thread"),
    pytest.mark.skipif("forkserver" not in multiprocessing.get_all_start_methods(), reason="processes are forked"),
]
SAME = {"norm": "instance", "steps": 4, "batch_size": 4, "epochs": 9}  # batch norm would see half of a batch


@pytest.fixture(autouse=True)
def _own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def told_in_both(*arguments: Any, before: str = "pass") -> list[tuple[int, str]]:
    """Exit code and stderr of `train` in both processes, which run the Python text `before` first.

    They start afresh: PyTorch's autograd does not survive a fork once other tests have used its threads.
    """
    program = f"import sys; {before}; from toonify.cli import main; sys.exit(main(sys.argv[1:]))"
    command = [sys.executable, "-c", program, "train", *map(str, arguments)]
    address = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free_port()), "WORLD_SIZE": "2", "OMP_NUM_THREADS": "1"}
    processes = [
        subprocess.Popen(
            command,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, **address, "RANK": rank, "LOCAL_RANK": rank},
        )
        for rank in "01"
    ]
    try:
        said = [process.communicate(timeout=120)[1] for process in processes]
    finally:
        for process in processes:
            process.kill()
    return [(process.returncode, text) for process, text in zip(processes, said, strict=True)]


def close(a: Path, b: Path) -> None:
    """The losses of two runs are the same but for rounding."""
    ours, theirs = losses(a), losses(b)
    assert list(ours) == list(theirs)
    for step in ours:
        assert ours[step] == pytest.approx(theirs[step], rel=1e-3)


def test_torchrun_trains_the_same_weights_as_one_process(
    training_data: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert train(*flags(training_data, output="one", **SAME)) == 0
    words = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", "-m", "toonify", "train"]
    command = [sys.executable, *words, *flags(training_data, output="two", **SAME)]
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, "OMP_NUM_THREADS": "1"})
    assert done.returncode == 0, done.stderr
    close(Path("one"), Path("two"))
    one, two = (checkpoint(Path(name)) for name in ("one", "two"))
    for name, weight in one["method"]["discriminator"]["network"].items():
        torch.testing.assert_close(two["method"]["discriminator"]["network"][name], weight, rtol=1e-2, atol=1e-3)
    assert steps_saved(Path("two")) == steps_saved(Path("one")) and len(list(Path("two").glob("tensorboard/*"))) == 1
    assert done.stderr.count("2 processes; output in two") == 1 and done.stderr.count("finished: 4 steps") == 1
    assert not same(two["processes"][0]["random"], two["processes"][1]["random"])
    # It goes on with one process, and says what is not as it was.
    capfd.readouterr()
    assert train("--resume", "last", "--output", "two", "--steps", 6) == 0
    assert "saved by 2 processes, goes on with 1 process: the pictures are those that" in capfd.readouterr().err
    assert train("--resume", "last", "--output", "one", "--steps", 6) == 0
    close(Path("one"), Path("two"))


def test_a_run_of_one_process_goes_on_with_two(training_data: Path) -> None:
    assert train(*flags(training_data, output="one", **SAME)) == 0
    assert train(*flags(training_data, output="two", **SAME | {"steps": 2})) == 0
    (first, said), (second, nothing) = told_in_both("--resume", "last", "--output", "two", "--steps", 4)
    assert (first, second) == (0, 0) and nothing == ""
    assert "saved by 1 process, goes on with 2 processes" in said
    close(Path("one"), Path("two"))
    assert len(checkpoint(Path("two"))["processes"]) == 2


def test_pictures_that_another_process_could_not_read_are_in_the_log(training_data: Path, tmp_path: Path) -> None:
    import shutil

    shutil.copytree(training_data, "data")
    for number in (1, 4, 5):
        Path(f"data/photos/{number}.png").write_bytes(b"no picture")
    (first, _), (second, nothing) = told_in_both(*flags(Path("data"), output="two", **SAME | {"steps": 9}))
    assert (first, second) == (0, 0) and nothing == ""
    assert sorted(note.partition(":")[0] for note in notes(Path("two"))) == [
        f"data/photos/{number}.png" for number in (1, 4, 5)
    ]


def test_where_one_process_has_to_stop_all_do(training_data: Path) -> None:
    full = (
        "import errno; from toonify.train.folder import RunFolder; from unittest.mock import Mock; "
        "RunFolder.save = Mock(side_effect=OSError(errno.ENOSPC, 'No space left on device'))"
    )
    (first, said), (second, other) = told_in_both(*flags(training_data, output="two", **SAME), before=full)
    assert (first, second) == (1, 1)
    assert "error: two cannot be written at step 1: no space left" in said
    assert other == "error: stopped at step 1; another process tells why\n"


def test_a_batch_that_cannot_be_shared_is_refused(training_data: Path) -> None:
    (first, said), (second, _) = told_in_both(*flags(training_data, output="two", batch_size=3))
    assert (first, second) == (2, 2)
    assert "--batch-size 3 cannot be shared by 2 processes; give a multiple" in said and not Path("two").exists()


def _tell(rank: int) -> Any:
    distributed.start("cpu")
    parameters = [torch.nn.Parameter(torch.zeros(2, 3)), torch.nn.Parameter(torch.zeros(2))]
    parameters[0].grad = torch.full((2, 3), float(rank)).to(memory_format=torch.contiguous_format)
    if rank == 1:
        parameters[1].grad = torch.ones(2)  # the other had no use for it
    distributed.average_gradients(parameters)
    gradients = [parameter.grad.tolist() for parameter in parameters]
    means = distributed.average(torch.tensor([1.0 + rank, 5.0])).tolist()
    flags = [distributed.any_of(flag) for flag in (False, rank == 1, True)]
    gathered = distributed.gather({"rank": rank})
    distributed.wait()
    here = (distributed.rank(), distributed.world_size())
    distributed.stop()
    return gradients, means, flags, gathered, here


def test_what_processes_tell_each_other() -> None:
    answers = in_both(_tell)
    for rank, (gradients, means, flags_up, gathered, here) in enumerate(answers):
        assert gradients == [[[0.5] * 3] * 2, [0.5] * 2] and means == [1.5, 5.0]
        assert flags_up == [False, True, True] and gathered == [{"rank": 0}, {"rank": 1}] and here == (rank, 2)


def test_alone_nothing_is_asked_of_anybody(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RANK", "0")
    monkeypatch.setenv("WORLD_SIZE", "1")
    distributed.start("cpu")
    gradient = torch.ones(2)
    parameter = torch.nn.Parameter(torch.zeros(2))
    parameter.grad = gradient
    distributed.average_gradients([parameter])
    assert parameter.grad is gradient and distributed.gather(3) == [3]
    assert (distributed.rank(), distributed.world_size()) == (0, 1)
    assert distributed.any_of(True) and not distributed.any_of(False)
    values: Tensor = torch.ones(1)
    assert distributed.average(values) is values
    distributed.wait()
    distributed.stop()
