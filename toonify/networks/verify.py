"""What is on this machine of a style, checked against its card."""

from toonify.checkpoints import hub
from toonify.engines.onnx_runtime import OnnxGenerator
from toonify.engines.pytorch import TorchGenerator
from toonify.errors import StyleError
from toonify.networks.cache import converted
from toonify.networks.check_photo import check_photo
from toonify.networks.open import open_int8
from toonify.pixels.arrays import psnr
from toonify.styles.card import HubWeights, StyleVariant


def verify_weights(style: StyleVariant) -> str:
    """Check what is on this machine of a variant against its card, and say what was found good.

    Raises WeightsError if a checkpoint is not what the card pins, StyleError if a network cannot be opened or does not
    draw what its checkpoint draws. Nothing is fetched and nothing deleted.
    """
    from toonify.networks.checkpoint import load_generator
    from toonify.networks.export import MIN_PSNR

    weights = style.variant.weights
    photo = check_photo(style.variant)
    if style.int8 is not None:
        open_int8(style)
    if style.onnx is not None:
        OnnxGenerator(style.onnx, "cpu")(photo)
        return "the network opens and draws" + (", in 8-bit integers, too" if style.int8 else "")
    networks = converted(style)
    drawings = {path: OnnxGenerator(path, "cpu")(photo) for path in networks}
    checkpoint = hub.cached(weights) if isinstance(weights, HubWeights) else style.file
    if checkpoint is None:
        return "the converted network opens and draws; its checkpoint is not here to compare with"
    expected = TorchGenerator(load_generator(checkpoint, style.variant), "cpu")(photo)
    low, high = style.variant.value_range
    for path, drawing in drawings.items():
        agreement = psnr(drawing, expected, peak=high - low)
        if agreement < MIN_PSNR[False]:
            raise StyleError(f"{path} agrees with its checkpoint to {agreement:.0f} dB only; delete it")
    return "the checkpoint is the one that the style names" + (
        ", the converted network agrees with it" if networks else ""
    )
