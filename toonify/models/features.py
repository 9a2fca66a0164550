"""Content features: what VGG or ResNet, trained on ImageNet, make of a picture at some layers, never trained further.

CartoonGAN's content loss compares them (Chen, Lai, Liu; CVPR 2018, equation 6: VGG-19, conv4_4 before its ReLU); the
study that improves on it takes ResNet-101 up to layer2. Several layers together are what perceptual losses take (as
Johnson, Alahi, Fei-Fei; ECCV 2016): early ones hold lines where they are, late ones say what they are of.
"""

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Self

import torch
from torch import Tensor, nn
from torchvision.models import resnet50, resnet101, vgg16, vgg19

from toonify.checkpoints.published import VGG16, Published, fetch
from toonify.checkpoints.tensors import read_tensors
from toonify.errors import UsageError, WeightsError, display

CONTENT = {"vgg19": "conv4_4", "vgg16": "conv4_3", "resnet50": "layer2", "resnet101": "layer2"}  # default layers

PUBLISHED = {  # torchvision's IMAGENET1K_V1
    "vgg19": Published(
        title="VGG-19", url="https://download.pytorch.org/models/vgg19-dcbb9e9d.pth", sha256="dcbb9e9d", megabytes=574.7
    ),
    "vgg16": VGG16,
    "resnet50": Published(
        title="ResNet-50",
        url="https://download.pytorch.org/models/resnet50-0676ba61.pth",
        sha256="0676ba61",
        megabytes=102.5,
    ),
    "resnet101": Published(
        title="ResNet-101",
        url="https://download.pytorch.org/models/resnet101-63fe2227.pth",
        sha256="63fe2227",
        megabytes=178.8,
    ),
}
_FLAG = "--content-weights"
_BUILD = {"vgg19": vgg19, "vgg16": vgg16, "resnet50": resnet50, "resnet101": resnet101}
_BLOCKS = {"vgg19": (2, 2, 4, 4, 4), "vgg16": (2, 2, 3, 3, 3)}  # convolutions between two poolings
_MEAN, _SPREAD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # ImageNet's, of RGB in 0..1


def parse_content(text: str) -> tuple[str, tuple[str, ...]]:
    """Network and layers of `--content vgg19:conv2_2,conv4_4`, or the network's default layer if it is named alone.

    Raises UsageError if there is no such network or layer, or a layer is named twice.
    """
    network, colon, rest = text.partition(":")
    if network not in CONTENT:
        names = ", ".join(CONTENT)
        raise UsageError(f"--content {text}: no such network; choose one of {names}, with a layer as in vgg19:conv4_4")
    if not colon:
        return network, (CONTENT[network],)
    known, layers = _layer_names(network), tuple(rest.split(","))
    if not set(layers) <= known.keys():
        may = "layer1 to layer4"
        if network in _BLOCKS:
            last = _BLOCKS[network][-1]
            may = f"conv1_1 to conv5_{last}, or relu1_1 to relu5_{last} behind them"
        raise UsageError(
            f"--content {text}: {network} has no such layer; choose {network}: and one of {may}, "
            "or several with commas between"
        )
    if len(set(layers)) < len(layers):
        raise UsageError(f"--content {text}: a layer is named twice; name each once")
    return network, layers


def _layer_names(network: str) -> dict[str, int]:
    """Layers by name, and their places in torchvision's `features`, or among a ResNet's children."""
    if network not in _BLOCKS:
        return {f"layer{number}": 3 + number for number in range(1, 5)}  # behind conv1, bn1, relu, maxpool
    places, place = {}, 0
    for block, count in enumerate(_BLOCKS[network], 1):
        for number in range(1, count + 1):
            places[f"conv{block}_{number}"], places[f"relu{block}_{number}"] = place, place + 1
            place += 2
        place += 1  # the pooling
    return places


class ContentFeatures(nn.Module):
    """N x 3 x H x W RGB in -1..1 to the feature maps of its layers, N x C x h x w each. Frozen, whatever is done to it.

    Gradients reach the picture, not the weights; a ResNet's batch norms use the statistics of ImageNet.
    """

    def __init__(self, network: str, layers: Sequence[str], state: Mapping[str, Tensor]) -> None:
        """`layers` is in any order; `state` has torchvision's keys, and more than is needed may be in it.

        VGG may also be in the form of AdaIN (Huang, Belongie; ICCV 2017), whose weights are scaled until every ReLU
        map has mean 1; then `pre` is the 1x1 convolution that brings RGB in 0..1 to what the network takes.

        Raises RuntimeError if the tensors do not fit.
        """
        super().__init__()
        with torch.device("meta"):  # no memory for layers that are not used
            whole = _BUILD[network](weights=None)
            self.pre = nn.Conv2d(3, 3, 1)
        stages = whole.features if network in _BLOCKS else whole
        prefix = "features." if network in _BLOCKS else ""
        self._places = [_layer_names(network)[layer] for layer in layers]
        kept = list(stages.named_children())[: max(self._places) + 1]
        self.layers = nn.Sequential(OrderedDict(kept))
        for layer in self.layers:
            if isinstance(layer, nn.ReLU):
                layer.inplace = False  # else it would overwrite the map that was asked for
        wanted = {name: state[prefix + name] for name in self.layers.state_dict() if prefix + name in state}
        self.layers.load_state_dict(
            {name: tensor.float() if tensor.is_floating_point() else tensor for name, tensor in wanted.items()},
            assign=True,
        )
        spread = torch.tensor(_SPREAD)
        pre = {"weight": (1 / spread).diag()[:, :, None, None], "bias": -torch.tensor(_MEAN) / spread}
        if network in _BLOCKS and "pre.weight" in state and "pre.bias" in state:
            pre = {"weight": state["pre.weight"], "bias": state["pre.bias"]}
        self.pre.load_state_dict({name: tensor.float().clone() for name, tensor in pre.items()}, assign=True)
        with torch.no_grad():  # from RGB in -1..1: 0..1 is half of it and a half
            halved = self.pre.weight.div_(2)
            self.pre.get_parameter("bias").add_(halved.sum(dim=(1, 2, 3)))
        self.requires_grad_(False)
        self.train(False)

    def train(self, mode: bool = True) -> Self:
        """Stay in evaluation mode: a method may set all of its networks to training at once."""
        return super().train(False)

    def forward(self, x: Tensor) -> list[Tensor]:
        """The maps, in the order of the layers that were asked for."""
        maps: dict[int, Tensor] = {}
        y = self.pre(x)
        for place, layer in enumerate(self.layers):
            y = layer(y)
            if place in self._places:
                maps[place] = y
        return [maps[place] for place in self._places]


def load_features(name: str, path: Path | None) -> ContentFeatures:
    """The features that `--content NAME` means, from a file of the user's or the published weights, fetched once.

    Raises UsageError if there are no such features, DownloadError if the weights cannot be had, WeightsError if the
    file is not what it should be.
    """
    network, layers = parse_content(name)
    published = PUBLISHED[network]
    if path is None:
        path = fetch(published, flag=_FLAG)
    try:
        return ContentFeatures(network, layers, read_tensors(path))
    except RuntimeError as error:
        last = max(layers, key=_layer_names(network).__getitem__)
        raise WeightsError(
            f"no {published.title} up to {last} in {display(path)}; give {_FLAG} a file with torchvision's names, "
            "or leave it out"
        ) from error
