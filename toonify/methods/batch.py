"""The pictures of one step."""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Batch:
    """Pictures of one step, or a part of them: N x 3 x H x W float32 RGB in -1..1 each, and what is known of them.

    Where there is one kind of pictures, photos and cartoons are the same.
    """

    photo: Tensor
    cartoon: Tensor
    smooth: Tensor | None = None  # edge-smoothed cartoons
    frame: Tensor | None = None  # N x ...: what was measured of the whole photos (`Folders.measure`)

    def __len__(self) -> int:
        return len(self.photo)

    def to(self, device: str) -> "Batch":
        """The same on a device, channels last: what convolutions run quickest on."""

        def move(pictures: Tensor) -> Tensor:
            return pictures.to(device, non_blocking=True).contiguous(memory_format=torch.channels_last)

        smooth = None if self.smooth is None else move(self.smooth)
        frame = None if self.frame is None else self.frame.to(device, non_blocking=True)
        return Batch(move(self.photo), move(self.cartoon), smooth, frame)

    def split(self, parts: int) -> Iterator["Batch"]:
        """At most `parts` batches of nearly equal size."""
        size = -(-len(self) // parts)
        for start in range(0, len(self), size):
            rows = slice(start, start + size)
            smooth = None if self.smooth is None else self.smooth[rows]
            frame = None if self.frame is None else self.frame[rows]
            yield Batch(self.photo[rows], self.cartoon[rows], smooth, frame)
