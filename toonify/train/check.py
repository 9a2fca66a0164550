"""What can be known of a run before it starts: its pictures, a trial step's time and memory, the disk."""

import shutil
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import psutil
import torch

from toonify.errors import ImageError, UsageError
from toonify.images import picture_size
from toonify.jobs.find import Found
from toonify.methods.batch import Batch
from toonify.methods.method import Method
from toonify.system.cores import available_cores
from toonify.system.memory import ran_out
from toonify.train.pictures import Folder


@dataclass(frozen=True)
class Heads:
    """What the heads of a folder's files say."""

    readable: int
    broken: list[tuple[Path, str]]  # and why
    small: list[Path]  # shorter than the squares that are cut out; they are enlarged


def read_heads(folder: Folder, size: int) -> Heads:
    """Look at every file's head, which takes a fraction of a millisecond a file."""

    def look(found: Found) -> tuple[int, int] | str:
        if found.problem is not None:
            return found.problem
        try:
            with found.path.open("rb") as file:
                return picture_size(file)
        except ImageError as error:
            return str(error)
        except OSError as error:
            return f"cannot be read: {error.strerror}"

    with ThreadPoolExecutor(available_cores()) as pool:
        heads = list(zip(folder.pictures, pool.map(look, folder.pictures), strict=True))
    broken = [(found.path, head) for found, head in heads if isinstance(head, str)]
    small = [found.path for found, head in heads if not isinstance(head, str) and min(head) < size]
    return Heads(len(heads) - len(broken), broken, small)


@dataclass(frozen=True)
class Trial:
    """What a step of each kind took."""

    seconds: float  # of the dearest, once warm
    memory: int  # bytes at the peak: of the GPU, or of the whole process
    checkpoint: int  # bytes


def try_step(method: Method, batch: Batch, *, parts: int) -> Trial:
    """Take two steps of the last phase, after which the method is of no further use.

    Raises UsageError if there is not enough memory.
    """
    device = method.precision.device
    batch = batch.to(device)
    last = method.phases[-1].name
    for _ in range(2):
        started = time.perf_counter()
        try:
            method.step(batch, last, method.full_step, parts=parts)
            if device == "cuda":
                torch.cuda.synchronize()
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
            raise UsageError(
                "a trial step needs more memory than there is; lower --size, --width or --batch-size, or raise "
                "--accumulate"
            ) from error
        seconds = time.perf_counter() - started
    return Trial(seconds, peak_memory(device), _bytes(method.state_dict()))


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error says that memory is used up; PyTorch has one of its own for GPUs only."""
    return ran_out(error) or isinstance(error, torch.OutOfMemoryError) or "can't allocate memory" in str(error)


def peak_memory(device: str) -> int:
    """Bytes at the peak so far: of what PyTorch took of the GPU, or of the whole process."""
    if device == "cuda":
        return torch.cuda.max_memory_allocated()
    if sys.platform == "win32":
        return int(psutil.Process().memory_info().peak_wset)
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def _bytes(state: object) -> int:
    if isinstance(state, torch.Tensor):
        return state.numel() * state.element_size()
    if isinstance(state, dict):
        return sum(_bytes(value) for value in state.values())
    return sum(_bytes(value) for value in state) if isinstance(state, list | tuple) else 0


def free_disk(path: Path) -> int:
    """Bytes that are free where a folder is, or will be."""
    while not path.exists():
        path = path.parent
    return shutil.disk_usage(path).free


def duration(seconds: float) -> str:
    """Seconds as one says it: 40 s, 12 min, 3.5 h."""
    if seconds < 100:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 6000 else f"{seconds / 3600:.1f} h"
