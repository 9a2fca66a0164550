"""Inception-v3 as FID has it (Heusel et al. 2017: the TensorFlow graph of 2015-12-05), on ONNX Runtime."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from toonify.checkpoints.published import Published, fetch
from toonify.engines.engine import Device
from toonify.errors import WeightsError, display
from toonify.metrics.network import MeasuringNetwork, converted_file, write_converted
from toonify.metrics.protocol import SIDE
from toonify.system.files import file_digest

DIMENSIONS = 2048  # of a feature vector: the last average pool
PUBLISHED = Published(
    title="FID's Inception network",
    url="https://github.com/mseitzer/pytorch-fid/releases/download/fid_weights/pt_inception-2015-12-05-6726825d.pth",
    sha256="6726825d0af5f729cebd5821db510b11b1cfad8faad88a03f1befd49fb9129b2",
    megabytes=95.6,
    other_names=("weights-inception-2015-12-05-6726825d.pth",),  # torch-fidelity's
)


@dataclass(frozen=True)
class Weights:
    """A file of weights for Inception, and what tells it from all others."""

    path: Path
    sha256: str

    def __str__(self) -> str:
        known = "as published with pytorch-fid" if self.sha256 == PUBLISHED.sha256 else display(self.path)
        return f"{known} (sha256 {self.sha256[:8]})"


def find_weights(path: Path | None) -> Weights:
    """The weights to measure with: the user's own file, or the published one, fetched once.

    Raises DownloadError if they cannot be had, WeightsError if the file is another than the published one.
    """
    path = path if path is not None else fetch(PUBLISHED, flag="--weights")
    return Weights(path, file_digest(path))


class Inception(MeasuringNetwork):
    """3 x 299 x 299 pictures in, feature vectors out: N x 3 x 299 x 299 float32, about -1..1, to N x 2048.

    Raises WeightsError if the file does not hold the network, DeviceError if the device cannot run.
    """

    def __init__(self, weights: Weights, *, device: Device = "auto") -> None:
        self.weights = weights
        super().__init__(
            "Inception network",
            converted_path(weights),
            lambda target: convert_inception(weights.path, target),
            device=device,
        )


def converted_path(weights: Weights) -> Path:
    """Where the converted network is, or will be."""
    return converted_file("inception", weights.sha256)


def classifier(weights: Weights) -> NDArray[np.float64]:
    """The weights from features to the 1008 classes, without bias: 1008 x 2048. The Inception Score is made of them.

    Raises WeightsError if the file has none, as some copies for FID alone.
    """
    from toonify.checkpoints.tensors import read_tensors

    tensor = read_tensors(weights.path).get("fc.weight")
    if tensor is None or tuple(tensor.shape) != (1008, DIMENSIONS) or not tensor.any():
        raise WeightsError(
            f"{display(weights.path)} has no classifier, which the Inception Score needs; "
            "leave --weights out to fetch the published file, or take is out of --metrics"
        )
    return np.asarray(tensor.double().numpy())


def convert_inception(weights: Path, target: Path) -> None:
    """Write the network from picture to features as ONNX, checked against PyTorch.

    Raises WeightsError if `weights` does not hold the network, ExportError if the result is off or cannot be kept.
    """
    import io

    import torch
    from torch import nn
    from torch.export import Dim
    from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3

    from toonify.checkpoints.tensors import read_tensors

    # torch-fidelity would unpickle whatever the file holds; so it gets what was read as tensors and nothing else.
    trusted = io.BytesIO()
    torch.save(read_tensors(weights), trusted)
    trusted.seek(0)
    try:
        with torch.random.fork_rng(devices=[]):  # or a run of `train` would draw other numbers after it
            network = FeatureExtractorInceptionV3(
                "inception-v3-compat", ["2048"], feature_extractor_weights_path=trusted
            )
    except RuntimeError as error:
        raise WeightsError(
            f"{display(weights)} is not FID's Inception network; leave --weights out to fetch it"
        ) from error
    *layers, _classifier = network.children()  # in the order in which they are run
    features = nn.Sequential(*layers, nn.Flatten()).eval()
    example = torch.rand(2, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(0)) * 2 - 1
    write_converted("Inception network", features, example, {0: Dim("batch", max=4096)}, "features", target)
