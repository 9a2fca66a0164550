"""The pictures of one step."""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Batch:
    """Pictures of one step, or a part of them: N x 3 x H x W float32 RGB in -1..1 each."""

    photo: Tensor
    cartoon: Tensor
    smooth: Tensor | None = None  # edge-smoothed cartoons

    def __len__(self) -> int:
        return len(self.photo)

    def to(self, device: str) -> "Batch":
        """The same on a device, channels last: what convolutions run quickest on."""

        def move(pictures: Tensor) -> Tensor:
            return pictures.to(device, non_blocking=True).contiguous(memory_format=torch.channels_last)

        return Batch(move(self.photo), move(self.cartoon), None if self.smooth is None else move(self.smooth))

    def split(self, parts: int) -> Iterator["Batch"]:
        """At most `parts` batches of nearly equal size."""
        size = -(-len(self) // parts)
        for start in range(0, len(self), size):
            rows = slice(start, start + size)
            yield Batch(self.photo[rows], self.cartoon[rows], None if self.smooth is None else self.smooth[rows])
