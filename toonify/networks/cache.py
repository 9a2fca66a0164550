"""Where a variant's network is on this machine, and what tells it from others."""

import hashlib
from pathlib import Path

from toonify.checkpoints import hub
from toonify.checkpoints.published import file_digest
from toonify.errors import StyleError, WeightsError
from toonify.graphs.format import EXPORTER, OPSET
from toonify.styles.card import FileWeights, HubWeights
from toonify.styles.find import LocatedStyle


def cached_onnx(style: LocatedStyle, variant: str, device: str) -> Path:
    """Where the ONNX network converted for `device` from a variant's checkpoint is, or will be."""
    name, chosen = style.variant(variant)
    what = f"{weights_digest(style, name)} {chosen.architecture} {sorted(chosen.config.items())} {EXPORTER} {OPSET}"
    key = hashlib.sha256(what.encode()).hexdigest()[:16]
    return hub.cache_folder() / "onnx" / f"{style.card.id}-{name}-{device}-{key}.onnx"


def weights_digest(style: LocatedStyle, variant: str) -> str:
    """What tells a variant's weights from all others: the fingerprint that its card pins, or a digest of its file."""
    _, chosen = style.variant(variant)
    if chosen.weights.fingerprint is not None:
        return chosen.weights.fingerprint
    return _digest(beside_card(style, chosen.weights))


def is_cached(style: LocatedStyle, variant: str) -> bool:
    """Whether the variant can be drawn with, without a network."""
    _, chosen = style.variant(variant)
    if isinstance(chosen.weights, HubWeights):
        return hub.cached(chosen.weights) is not None or bool(converted(style, variant))
    return (style.folder / chosen.weights.file).is_file()


def variants_to_try(style: LocatedStyle, name: str = "auto") -> list[str]:
    """The variants of a style that `--variant name` means, in the order in which they are tried; at least one.

    "auto" is the card's preferred one, the first, unless it would have to be fetched and there is no hub. After it, or
    in its place, comes the first of the others that is on this machine, if there is one. Raises UsageError if the style
    has no such variant.
    """
    if name != "auto":
        return [style.variant(name)[0]]
    preferred, *others = style.card.variants
    here = next((other for other in others if is_cached(style, other)), None)
    if here is None:
        return [preferred]
    to_fetch = isinstance(style.card.variants[preferred].weights, HubWeights) and not is_cached(style, preferred)
    return [here] if to_fetch and not hub.can_fetch() else [preferred, here]


def converted(style: LocatedStyle, variant: str) -> list[Path]:
    """The ONNX networks that have been converted from a variant's checkpoint."""
    return [path for device in ("cpu", "cuda") if (path := cached_onnx(style, variant, device)).exists()]


def own_onnx(style: LocatedStyle, weights: FileWeights) -> Path:
    """The ONNX network that a card names. Raises StyleError if it is missing, WeightsError if it is another one."""
    path = beside_card(style, weights)
    if weights.fingerprint is not None and weights.fingerprint != _digest(path):
        raise WeightsError(f"{path} is not the file that the card of {style.card.id} pins")
    return path


def _digest(path: Path) -> str:
    return f"sha256:{file_digest(path)}"


def beside_card(style: LocatedStyle, weights: FileWeights | HubWeights) -> Path:
    """The file of weights in the card's folder. Raises StyleError if it is missing."""
    path = style.folder / weights.file
    if not path.is_file():
        raise StyleError(f"{path} is missing, which the card of {style.card.id} names")
    return path
