"""Two generators that began with the same weights exchange their layers: photo shapes in drawn colors.

Source: Pinkney, Adler: Resolution Dependent GAN Interpolation for Controllable Image Synthesis Between Domains, 2020,
section 2. Coarse layers decide about shapes, fine ones about colors and strokes.
"""

from pathlib import Path, PurePath
from typing import Any

import msgspec
import safetensors.torch
from torch import Tensor

from toonify.checkpoints.tensors import fingerprint
from toonify.errors import UsageError, display
from toonify.generate.open import Opened
from toonify.models import ARCHITECTURES
from toonify.models.noise import NoiseGenerator
from toonify.styles.card import UNKNOWN_LICENSE, Card, FileWeights, Variant
from toonify.system.files import write_atomically

SWAPPED, PHOTO = "swapped", "photo"  # variants of what is written


def check_kin(photo: Opened, toon: Opened) -> None:
    """Raise UsageError unless two generators are of one kind and began with the same weights."""
    names = f"{photo.style.card.id} and {toon.style.card.id}"
    one, other = (each.style.variant for each in (photo, toon))
    if one.architecture != other.architecture or _layers(one) != _layers(other):
        raise UsageError(f"{names} have other layers; train one with --start-from the other")
    if not set(_line(photo)) & set(_line(toon)):
        raise UsageError(f"{names} did not begin with the same weights; train one with --start-from the other")


def swap_layers(photo: NoiseGenerator, toon: NoiseGenerator, side: int) -> dict[str, Tensor]:
    """The weights of `photo` with the layers from maps of `side` pixels on from `toon`. The mapping stays.

    Raises UsageError if there are no such layers, or all are.
    """
    sides = sorted({there for there, _ in photo.layers()})
    if side not in sides[1:]:
        raise UsageError(f"--from {side}: layers begin at {', '.join(map(str, sides[1:]))} px; give one of these")
    taken = tuple(name for there, name in toon.layers() if there >= side)
    theirs = toon.state_dict()
    return {
        name: theirs.get(name, tensor) if name.startswith(taken) else tensor
        for name, tensor in photo.state_dict().items()
    }


def write_swapped(photo: Opened, toon: Opened, side: int, target: Path) -> None:
    """Write what `generate` draws with into the folder `target`: the swapped generator, and the photos' beside it.

    The latter is where `generate --project` looks for the latent of a photo. Raises UsageError if they cannot be
    swapped or the folder has something in it, OSError.
    """
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise UsageError(f"--output {display(target)} is there already; give another name")
    check_kin(photo, toon)
    states = {SWAPPED: swap_layers(photo.network, toon.network, side), PHOTO: photo.network.state_dict()}
    target.mkdir(parents=True, exist_ok=True)
    variants = {}
    for name, state in states.items():
        whole = {key: tensor.detach().cpu().contiguous() for key, tensor in state.items()}
        file = f"{name}.safetensors"
        write_atomically(target / file, safetensors.torch.save(whole), overwrite=False)
        weights = FileWeights(file=file, fingerprint=fingerprint(whole))
        variants[name] = msgspec.structs.replace(photo.style.variant, weights=weights, training=None)
    card = _card(photo, toon, side, target, variants)
    text = msgspec.json.format(msgspec.json.encode(card), indent=2)
    write_atomically(target / f"{card.id}.json", text, overwrite=False)


def _card(photo: Opened, toon: Opened, side: int, target: Path, variants: dict[str, Variant]) -> Card:
    cards = [photo.style.card, toon.style.card]
    licenses = {card.license for card in cards}
    plain = "".join(letter if letter.isalnum() else "-" for letter in target.resolve().name.lower()).strip("-")
    ids = " and ".join(card.id for card in cards)
    return Card(
        id=plain if plain.isascii() and plain else "swapped",
        title=display(PurePath(target).name),
        license=licenses.pop() if len(licenses) == 1 else UNKNOWN_LICENSE,
        license_note=f"Of the weights of {ids}, whose licenses count both.",
        attribution="; ".join(dict.fromkeys(card.attribution for card in cards if card.attribution)),
        source=f"toonify swap-layers {ids} --from {side}",
        variants=variants,
    )


def _layers(variant: Variant) -> dict[str, Any]:
    config = ARCHITECTURES[variant.architecture].full_config(variant.config)
    return {key: value for key, value in config.items() if key != "grows"}


def _line(opened: Opened) -> list[str]:
    """The fingerprints of the weights that a generator descends from, and of its own."""
    training = opened.style.variant.training
    return [*(training.ancestors if training else ()), fingerprint(opened.network.state_dict())]
