"""The training methods by name: a new one is a line here. Each is imported when it is first asked for."""

import importlib
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from toonify.methods.method import Method

Arch = Literal[  # of `train --arch`
    "cartoongan",
    "cartoongan-improved",
    "cyclegan",
    "ugatit",
    "pix2pix",
    "adain",
    "adain-lite",
    "dcgan",
    "progan",
    "stylegan",
]

_CLASSES = {
    "cartoongan": "cartoongan.CartoonGAN",
    "cartoongan-improved": "cartoongan.ImprovedCartoonGAN",
    "cyclegan": "cyclegan.CycleGAN",
    "ugatit": "ugatit.UGATIT",
    "pix2pix": "pix2pix.Pix2Pix",
    "adain": "adain.AdaIN",
    "adain-lite": "adain.AdaINLite",
    "dcgan": "dcgan.DCGAN",
    "progan": "progan.ProGAN",
    "stylegan": "stylegan.StyleGAN",
    "distill": "distill.Distill",  # of `distill`
}


class _Methods(Mapping[str, "type[Method]"]):
    """The classes by name. The command line needs the names alone, and PyTorch takes seconds."""

    def __getitem__(self, name: str) -> "type[Method]":
        module, _, kind = _CLASSES[name].partition(".")
        found: type[Method] = getattr(importlib.import_module(f"{__name__}.{module}"), kind)
        return found

    def __iter__(self) -> Iterator[str]:
        return iter(_CLASSES)

    def __len__(self) -> int:
        return len(_CLASSES)


METHODS: Mapping[str, "type[Method]"] = _Methods()
