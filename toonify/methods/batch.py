"""The pictures of one step."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Batch:
    """Pictures of one step, or a part of them: N x 3 x H x W float32 RGB in -1..1 each, and what is known of them."""

    photo: Tensor
    cartoon: Tensor
    smooth: Tensor | None = None  # edge-smoothed cartoons
    frame: Tensor | None = None  # N x ...: what was measured of the whole photos (`Folders.measure`)

    def __len__(self) -> int:
        return len(self.photo)

    def to(self, device: str) -> "Batch":
        """The same on a device, channels last: what convolutions run quickest on."""

        def move(pictures: Tensor) -> Tensor:
            moved = pictures.to(device, non_blocking=True)
            return moved.contiguous(memory_format=torch.channels_last) if moved.ndim == 4 else moved

        return self._each(move)

    def split(self, parts: int) -> Iterator["Batch"]:
        """At most `parts` batches of nearly equal size."""
        size = -(-len(self) // parts)
        for start in range(0, len(self), size):
            yield self._each(lambda tensor, start=start: tensor[start : start + size])  # type: ignore[misc]

    def _each(self, change: Callable[[Tensor], Tensor]) -> "Batch":
        smooth, frame = (None if tensor is None else change(tensor) for tensor in (self.smooth, self.frame))
        return Batch(change(self.photo), change(self.cartoon), smooth, frame)
