"""A generator on PyTorch."""

from typing import Any

from toonify.pixels.arrays import Floats


class TorchGenerator:
    """A generator as a PyTorch module, in eager mode; `device` is one that `choose_device` gave."""

    def __init__(self, module: Any, device: str) -> None:
        import torch

        self._torch = torch
        self._module = module.to(device).eval()
        self.engine = f"PyTorch {torch.__version__}"
        self.provider = torch.cuda.get_device_name() if device == "cuda" else "eager"
        self.device = device

    def __call__(self, batch: Floats) -> Floats:
        """Draw a batch: N x 3 x H x W float32 to the same."""
        try:
            with self._torch.inference_mode():
                drawing = self._module(self._torch.from_numpy(batch).to(self.device))
        except self._torch.OutOfMemoryError as error:
            raise MemoryError from error
        result: Floats = drawing.float().cpu().numpy()
        return result

    def cancel(self) -> None:
        """Eager PyTorch cannot be stopped inside a call; it ends when it ends."""
