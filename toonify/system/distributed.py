"""Several processes that train one run, started by torchrun; with one process every function does nothing.

Gradients are averaged in one piece before each update, as in StyleGAN's training loop: a wrapper such as
DistributedDataParallel expects one backward for each forward, and a training step of a GAN has several.
"""

import os
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor

from toonify.errors import UsageError

_PATIENCE = timedelta(hours=3)  # for the process that evaluates; NCCL's own is 10 minutes


def start(device: str) -> None:
    """Join the other processes, if torchrun has started some; `device` is "cpu" or "cuda"."""
    if "RANK" not in os.environ or dist.is_initialized():
        return
    if int(os.environ.get("WORLD_SIZE", "1")) == 1:
        return
    local = int(os.environ.get("LOCAL_RANK", "0"))
    if device == "cuda":
        if local >= torch.cuda.device_count():
            count = torch.cuda.device_count()
            raise UsageError(f"there are more processes than GPUs; give torchrun --nproc-per-node {count}")
        torch.cuda.set_device(local)
    dist.init_process_group("nccl" if device == "cuda" else "gloo", timeout=_PATIENCE)
    dist.barrier()  # or a process that finds fault at once would be gone before the others have met it


def stop() -> None:
    """Leave the other processes."""
    if dist.is_initialized():
        dist.destroy_process_group()


def rank() -> int:
    """This process's number; 0 leads: it alone writes."""
    return dist.get_rank() if dist.is_initialized() else 0


def world_size() -> int:
    """How many processes there are."""
    return dist.get_world_size() if dist.is_initialized() else 1


def wait() -> None:
    """Wait until all processes are here."""
    if dist.is_initialized():
        dist.barrier()


def average_gradients(parameters: Sequence[Tensor]) -> None:
    """Replace each gradient by its mean over the processes."""
    if not dist.is_initialized():
        return
    gradients = [p.grad if p.grad is not None else torch.zeros_like(p) for p in parameters]
    flat = torch.cat([gradient.reshape(-1) for gradient in gradients])
    dist.all_reduce(flat)
    flat /= dist.get_world_size()
    parts = torch.split(flat, [gradient.numel() for gradient in gradients])
    for parameter, gradient, part in zip(parameters, gradients, parts, strict=True):
        parameter.grad = gradient.copy_(part.view(gradient.shape))  # in the gradient's own layout


def average(values: Tensor) -> Tensor:
    """The mean of a small tensor over the processes."""
    if dist.is_initialized():
        values = values.clone()
        dist.all_reduce(values)
        values /= dist.get_world_size()
    return values


def any_of(flag: bool) -> bool:
    """Whether the flag is up in any process, so that all do the same."""
    if not dist.is_initialized():
        return flag
    device = "cuda" if dist.get_backend() == "nccl" else "cpu"
    raised = torch.tensor(float(flag), device=device)
    dist.all_reduce(raised)
    return bool(raised > 0)


def gather(value: Any) -> list[Any]:
    """Every process's value in the order of their numbers, in all processes."""
    if not dist.is_initialized():
        return [value]
    values: list[Any] = [None] * dist.get_world_size()
    dist.all_gather_object(values, value)
    return values
