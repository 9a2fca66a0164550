"""The features that style transfer by optimization compares: VGG-19 with average pooling, up to relu5_1.

Source: Gatys, Ecker, Bethge: A Neural Algorithm of Artistic Style, 2015 (arXiv:1508.06576), section Methods: the
16 convolutions of VGG-19, scaled so that each feature map has a mean of 1 over pictures and places, and the mean of
2 x 2 values in the place of the largest.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from toonify.checkpoints.published import fetch
from toonify.checkpoints.tensors import read_tensors
from toonify.errors import WeightsError, display
from toonify.transfer.networks import ENCODER

# Places of the convolutions in the published file, whose reflections, ReLUs and poolings are layers, too.
_BLOCKS = ((2, 5), (9, 12), (16, 19, 22, 25), (29, 32, 35, 38), (42,))
CONTENT_LAYER = "relu4_2"
STYLE_LAYERS = ("relu1_1", "relu2_1", "relu3_1", "relu4_1", "relu5_1")


@dataclass(frozen=True)
class Features:
    """The maps of a picture, N x C x h x w each: of the content layer, and of the style layers in their order."""

    content: Tensor
    style: tuple[Tensor, ...]


class StyleFeatures(nn.Module):
    """N x 3 x H x W RGB in 0..1 to `Features`; H and W from 16 on. Frozen: gradients reach the picture alone.

    In `dtype` bfloat16 the convolutions calculate in it; the picture is float32 (or float64) in any case.
    """

    def __init__(self, state: Mapping[str, Tensor], dtype: torch.dtype = torch.float32) -> None:
        """`state` has the tensors as they are published; those behind relu5_1 are not used. Raises KeyError."""
        super().__init__()
        self.dtype = dtype
        self.pre = nn.Conv2d(3, 3, 1)  # to BGR in 0..255 less ImageNet's mean
        self.pre.load_state_dict({"weight": state["0.weight"], "bias": state["0.bias"]})
        self.blocks = nn.ModuleList()
        for block in _BLOCKS:
            convolutions = nn.ModuleList()
            for place in block:
                weight, bias = state[f"{place}.weight"], state[f"{place}.bias"]
                convolution = nn.Conv2d(weight.shape[1], weight.shape[0], 3, padding=1)
                convolution.load_state_dict({"weight": weight, "bias": bias})
                convolutions.append(convolution)
            self.blocks.append(convolutions)
        self.requires_grad_(False)
        self.blocks.to(dtype).to(memory_format=torch.channels_last)

    def forward(self, picture: Tensor) -> Features:
        """The maps, in `dtype` and channels last."""
        x = self.pre(picture).to(dtype=self.dtype, memory_format=torch.channels_last)
        content, style = x, []
        for block, convolutions in enumerate(self.blocks, 1):
            assert isinstance(convolutions, nn.ModuleList)  # noqa: S101 - for the types
            if block > 1:
                x = functional.avg_pool2d(x, 2)
            for number, convolution in enumerate(convolutions, 1):
                x = convolution(x).relu_()  # in place: neither a convolution nor ReLU needs what was there
                name = f"relu{block}_{number}"
                if name in STYLE_LAYERS:
                    style.append(x)
                if name == CONTENT_LAYER:
                    content = x
        return Features(content, tuple(style))


def published_features(dtype: torch.dtype = torch.float32) -> StyleFeatures:
    """The features by the published weights, which are those of AdaIN's encoder; fetched if they are not here.

    Raises DownloadError, WeightsError.
    """
    path = fetch(ENCODER)
    try:
        return StyleFeatures(read_tensors(path), dtype)
    except (KeyError, RuntimeError) as error:
        raise WeightsError(f"{display(path)} is not {ENCODER.title}") from error
