"""From the name of a run to its generator, ready to draw."""

from dataclasses import dataclass

from toonify.engines.choose import choose_device
from toonify.engines.engine import Device
from toonify.errors import UsageError, display
from toonify.models.noise import NoiseGenerator
from toonify.models.stylegan import StyleGANGenerator
from toonify.networks.load import load_module
from toonify.styles.card import StyleVariant
from toonify.styles.find import find_generator

_MOST_TRUNCATION = 2.0


@dataclass(frozen=True)
class Opened:
    """A generator in evaluation mode, on a device."""

    style: StyleVariant
    network: NoiseGenerator
    device: str

    @property
    def styled(self) -> StyleGANGenerator | None:
        """The same if it has styles, which can be mixed and led to their mean."""
        return self.network if isinstance(self.network, StyleGANGenerator) else None


def open_noise(name: str, variant: str = "auto", *, device: Device = "auto") -> Opened:
    """The generator that `name` means. Raises UsageError, StyleError, DownloadError, DeviceError."""
    return open_variant(find_generator(name).variant(variant), device=device)


def open_variant(style: StyleVariant, *, device: Device = "auto") -> Opened:
    """The generator of a variant, which draws from noise. Raises UsageError, StyleError, DownloadError, DeviceError."""
    if style.onnx is not None:
        raise UsageError(f"{display(style.onnx)} is for other programs; give the folder of the run that it is of")
    chosen = choose_device(device, "torch")
    network = load_module(style)
    assert isinstance(network, NoiseGenerator)  # noqa: S101 - its card says that it draws from noise
    return Opened(style, network.requires_grad_(False).to(chosen), chosen)


def check_truncation(opened: Opened, truncation: float | None) -> None:
    """Raise UsageError if a generator cannot be led to its mean so far, or not at all."""
    if truncation is None:
        return
    if not 0 <= truncation <= _MOST_TRUNCATION:
        raise UsageError(f"--truncation {truncation:g}: give a number from 0, the mean picture, to 2")
    styles_of(opened, "--truncation")


def styles_of(opened: Opened, flag: str) -> StyleGANGenerator:
    """The generator, if it has styles; UsageError names the option that needs them."""
    if opened.styled is None:
        kind = opened.style.variant.architecture
        raise UsageError(f"{flag} is for stylegan, which has styles; {opened.style.card.id} is a {kind}, so drop it")
    return opened.styled
