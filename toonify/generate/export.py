"""A generator from noise to an ONNX file, with latents and noise as inputs."""

from pathlib import Path

import msgspec
import numpy as np
import torch

from toonify.errors import ExportError, display
from toonify.generate.open import open_variant
from toonify.generate.seeds import latents_of, noise_of
from toonify.graphs.format import CARD_KEY
from toonify.models.noise import NoiseGenerator
from toonify.networks.export import to_onnx
from toonify.pixels.arrays import Floats, psnr
from toonify.styles.card import StyleVariant, embedded_card
from toonify.system.files import write_atomically

MIN_PSNR = 80.0  # of the exported network against PyTorch, in dB
_SEEDS = (0, 1, 2)  # that are drawn to compare


def inputs_of(network: NoiseGenerator, seeds: tuple[int, ...], truncation: float = 1.0) -> dict[str, Floats]:
    """What an exported generator takes for seeds, by name: latent, and with styles noise and truncation."""
    latents = latents_of(seeds, network.latent_size)
    if not network.noise_size:
        return {"latent": latents}
    noise = noise_of(seeds, network.noise_size)
    return {"latent": latents, "noise": noise, "truncation": np.array([truncation], np.float32)}


def export_generator(style: StyleVariant, target: Path, *, overwrite: bool = False) -> float:
    """Write a generator as ONNX: latent, N x `latent_size`, and with styles noise and truncation, to pictures.

    They are N x 3 x side x side, about -1..1. Returns the agreement with PyTorch: PSNR in dB.

    Raises ExportError if the network cannot be exported or does not agree to 80 dB, FileExistsError if `target` exists
    and `overwrite` is false, UsageError, StyleError.
    """
    import onnxruntime
    from torch.export import Dim

    network = open_variant(style, device="cpu").network
    given = inputs_of(network, _SEEDS)
    batch = Dim("batch", max=1024)
    examples = {name: torch.from_numpy(values) for name, values in given.items()}
    shapes = {name: {} if name == "truncation" else {0: batch} for name in given}
    model = to_onnx(network, examples, shapes, output="picture")
    text = msgspec.json.encode(embedded_card(style, display(target.name))).decode()
    model.metadata_props.add(key=CARD_KEY, value=text)
    data: bytes = model.SerializeToString()
    session = onnxruntime.InferenceSession(data, providers=["CPUExecutionProvider"])
    (drawn,) = session.run(None, given)
    with torch.inference_mode():
        expected = network(*examples.values()).numpy()
    agreement = psnr(drawn, expected, peak=2)
    if not agreement >= MIN_PSNR:
        raise ExportError(
            f"the exported network agrees with PyTorch to {agreement:.1f} dB only, not {MIN_PSNR:g}; "
            f"{display(target)} was not written"
        )
    write_atomically(target, data, overwrite=overwrite)
    return agreement
