"""The training methods by name; `train --arch` takes the games, and `distill` the other one."""

from toonify.methods.cartoongan import CartoonGAN, ImprovedCartoonGAN
from toonify.methods.cyclegan import CycleGAN
from toonify.methods.distill import Distill
from toonify.methods.method import Method
from toonify.methods.pix2pix import Pix2Pix
from toonify.methods.ugatit import UGATIT

METHODS: dict[str, type[Method]] = {
    "cartoongan": CartoonGAN,
    "cartoongan-improved": ImprovedCartoonGAN,
    "cyclegan": CycleGAN,
    "ugatit": UGATIT,
    "pix2pix": Pix2Pix,
    "distill": Distill,
}
