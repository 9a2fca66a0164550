"""The network of LPIPS (Zhang et al., CVPR 2018, version 0.1): VGG-16, and a weight for each of its channels."""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn
from torchvision.models import vgg16

TAPS = (3, 8, 15, 22, 29)  # layers that are compared: relu1_2, relu2_2, relu3_3, relu4_3, relu5_3
CHANNELS = (64, 128, 256, 512, 512)  # of these layers


class LpipsNetwork(nn.Module):
    """Distances of pairs of pictures: N x 2 x 3 x H x W in -1..1 to N; H and W are 16 or more.

    The features of each layer are brought to unit length at every place, their squared differences weighted by
    channel, averaged over the places and added up over the layers.
    """

    mean: Tensor  # ImageNet's mean and spread, of values in -1..1
    spread: Tensor

    def __init__(self, features: Mapping[str, Tensor], heads: Sequence[Tensor]) -> None:
        """`features` are VGG-16's convolutions as torchvision names them ("0.weight"), `heads` 1 x C x 1 x 1 each.

        Raises RuntimeError if they do not fit.
        """
        super().__init__()
        with torch.device("meta"):  # no memory for a classifier that is not used
            self.layers = vgg16(weights=None).features[: TAPS[-1] + 1]
        self.layers.load_state_dict({name: tensor.float() for name, tensor in features.items()}, assign=True)
        self.register_buffer("mean", torch.tensor([-0.030, -0.088, -0.188]).view(3, 1, 1))
        self.register_buffer("spread", torch.tensor([0.458, 0.448, 0.450]).view(3, 1, 1))
        self.heads = nn.ParameterList(nn.Parameter(head.float()[0], requires_grad=False) for head in heads)

    def maps(self, x: Tensor) -> list[Tensor]:
        """What is compared of pictures, N x 3 x H x W in -1..1: maps, N x C x h x w, of length 1 at every place.

        Within autocast the layers run in its precision, lengths in float32 all the same: their squares do not fit.
        """
        x, maps = (x - self.mean) / self.spread, []
        for number, layer in enumerate(self.layers):
            x = layer(x)
            if number in TAPS:
                found = x.float()
                length = torch.linalg.vector_norm(found, dim=1, keepdim=True)  # its slope at 0 is 0
                maps.append(found / (length + 1e-10))
        return maps

    def distances(self, ones: Sequence[Tensor], others: Sequence[Tensor]) -> Tensor:
        """Distances of pictures by their maps: N."""
        of_layers = [
            ((one - other).square() * head).sum(dim=1).mean(dim=(1, 2))
            for one, other, head in zip(ones, others, self.heads, strict=True)
        ]
        return torch.stack(of_layers).sum(dim=0)

    def forward(self, pairs: Tensor) -> Tensor:
        maps = self.maps(pairs.flatten(0, 1))
        return self.distances([each[0::2] for each in maps], [each[1::2] for each in maps])
