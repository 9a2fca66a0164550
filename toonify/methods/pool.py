"""Drawings of earlier steps, which discriminators are shown again.

Source: Shrivastava et al., CVPR 2017, as in CycleGAN (Zhu et al., ICCV 2017, section 4, training details).
"""

import torch
from torch import Tensor

SIZE = 50  # drawings, as in CycleGAN


class ImagePool:
    """Keeps up to `size` drawings, and swaps half of the new ones for old ones once it is full."""

    def __init__(self, size: int = SIZE) -> None:
        self._size = size
        self.drawings: list[Tensor] = []  # 3 x H x W each

    def exchange(self, drawings: Tensor) -> Tensor:
        """N x 3 x H x W without gradients to the same: each drawing, or an earlier one in its place."""
        shown = []
        for drawing in drawings.detach():
            if len(self.drawings) < self._size:
                self.drawings.append(drawing.clone())
                shown.append(drawing)
            elif torch.rand(()) < 0.5:
                place = int(torch.randint(self._size, ()))
                shown.append(self.drawings[place])
                self.drawings[place] = drawing.clone()
            else:
                shown.append(drawing)
        return torch.stack(shown).contiguous(memory_format=torch.channels_last)
