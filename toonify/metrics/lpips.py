"""LPIPS (Zhang et al., CVPR 2018): how different two pictures look to VGG-16, with the heads of version 0.1."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from toonify.checkpoints.published import VGG16, Published, fetch
from toonify.engines.engine import Device
from toonify.errors import WeightsError, display
from toonify.metrics.network import MeasuringNetwork, converted_file, write_converted
from toonify.pixels.arrays import Pixels, to_floats
from toonify.system.files import file_digest

if TYPE_CHECKING:
    from torch import Tensor

    from toonify.models.lpips import LpipsNetwork

HEADS = Published(
    title="LPIPS' heads",
    url="https://github.com/toshas/torch-fidelity/releases/download/v0.2.0/weights-vgg16-lpips.pth",
    sha256="a78928a0af1e5f0fcb1f3b9e8f8c3a2a5a3de244d830ad5c1feddc79b8432868",
    megabytes=0.01,
)
_FLAG = "--lpips-weights"


@dataclass(frozen=True)
class LpipsWeights:
    """The files that VGG-16 and the heads are in, and what tells them from all others."""

    paths: tuple[Path, ...]
    sha256: tuple[str, ...]

    def __str__(self) -> str:
        published = self.sha256 == (VGG16.sha256, HEADS.sha256)
        known = "as published" if published else " and ".join(display(path) for path in self.paths)
        return f"{known} (sha256 {', '.join(digest[:8] for digest in self.sha256)})"


def find_lpips_weights(paths: Sequence[Path]) -> LpipsWeights:
    """The weights to measure with: the user's own files, or the published ones (553 MB), fetched once.

    Raises DownloadError if they cannot be had, WeightsError if a file is another than the published one.
    """
    paths = lpips_files(paths)
    return LpipsWeights(tuple(paths), tuple(file_digest(path) for path in paths))


def lpips_files(paths: Sequence[Path]) -> Sequence[Path]:
    """The user's own files, or the published ones, fetched once. Raises DownloadError, WeightsError."""
    return paths or [fetch(published, flag=_FLAG) for published in (VGG16, HEADS)]


class Lpips(MeasuringNetwork):
    """Pairs of pictures in, distances out: N x 2 x 3 x H x W float32 in -1..1, to N. H and W are 16 or more.

    Raises WeightsError if the files do not hold the network, DeviceError if the device cannot run.
    """

    def __init__(self, weights: LpipsWeights, *, device: Device = "auto") -> None:
        self.weights = weights
        digest = hashlib.sha256(" ".join(weights.sha256).encode()).hexdigest()
        super().__init__(
            "LPIPS network",
            converted_file("lpips", digest),
            lambda target: convert_lpips(weights.paths, target),
            device=device,
        )

    def distance(self, photo: Pixels, picture: Pixels) -> float:
        """LPIPS of two H x W x 3 uint8 pictures: 0 if they are the same, about 0.7 if nothing is. Symmetric."""
        pair = np.stack([to_floats(photo), to_floats(picture)]) * np.float32(2) - np.float32(1)
        return float(self(np.ascontiguousarray(pair.transpose(0, 3, 1, 2))[None])[0])


def convert_lpips(weights: Sequence[Path], target: Path) -> None:
    """Write the network from pairs of pictures to distances as ONNX, checked against PyTorch.

    Raises WeightsError if the files do not hold the network, ExportError if the result is off or cannot be kept.
    """
    import torch
    from torch.export import Dim

    # Sizes differ from each other, or the exporter would take them for one.
    example = torch.rand(2, 2, 3, 48, 64, generator=torch.Generator().manual_seed(0)) * 2 - 1
    free = {0: Dim("batch", max=1024), 3: Dim("height", min=16, max=65_536), 4: Dim("width", min=16, max=65_536)}
    write_converted("LPIPS network", read_lpips(weights), example, free, "distances", target)


def read_lpips(paths: Sequence[Path]) -> "LpipsNetwork":
    """The network in PyTorch, from files that hold it together: torchvision's, torch-fidelity's, or LPIPS' own.

    Raises WeightsError if they do not.
    """
    from toonify.checkpoints.tensors import read_tensors
    from toonify.models.lpips import CHANNELS, LpipsNetwork

    state: dict[str, Tensor] = {}
    for path in paths:
        state |= read_tensors(path)
    features = {name.removeprefix("features."): tensor for name, tensor in state.items() if "features." in name}
    named = (state.get(f"lin{i}.model.1.weight", state.get(f"lin{i}.weight")) for i in range(len(CHANNELS)))
    heads = [head for head in named if head is not None]
    missing = ""
    if [tuple(head.shape) for head in heads] != [(1, channels, 1, 1) for channels in CHANNELS]:
        missing = "heads of LPIPS (lin0 to lin4)"
    try:
        if not missing:
            return LpipsNetwork(features, heads).eval()
    except RuntimeError:
        missing = "VGG-16 (features.0 to features.28)"
    names = " and ".join(display(path) for path in paths)
    raise WeightsError(f"no {missing} in {names}; give {_FLAG} for both files, or leave it out")
