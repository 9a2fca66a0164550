"""Where a variant's network is on this machine, if it is."""

import hashlib
import re
from pathlib import Path

from toonify.checkpoints import hub
from toonify.graphs.format import EXPORTER, OPSET
from toonify.styles.card import HubWeights, LocatedStyle, StyleVariant
from toonify.system.files import below


def cached_onnx(style: StyleVariant, device: str) -> Path:
    """Where the ONNX network converted for `device` from a variant's checkpoint is, or will be."""
    variant = style.variant
    what = f"{style.digest} {variant.architecture} {sorted(variant.config.items())} {EXPORTER} {OPSET}"
    key = hashlib.sha256(what.encode()).hexdigest()[:16]
    return below(hub.cache_folder() / "onnx", f"{style.card.id}-{style.name}-{device}-{key}.onnx")


def converted(style: StyleVariant) -> list[Path]:
    """The ONNX networks that have been converted from a variant's checkpoint."""
    return [path for device in ("cpu", "cuda") if (path := cached_onnx(style, device)).exists()]


def is_cached(style: StyleVariant) -> bool:
    """Whether the variant can be drawn with, without a network connection."""
    weights = style.variant.weights
    if isinstance(weights, HubWeights):
        return hub.cached(weights) is not None or bool(converted(style))
    return below(style.folder, weights.file).is_file()


def remove_cached(style: StyleVariant) -> int:
    """Remove a variant's download and all that was converted from it; the bytes that this frees.

    Files beside a card stay: they are the style itself.
    """
    ours = re.compile(rf"{re.escape(style.card.id)}-{re.escape(style.name)}-(cpu|cuda)-[0-9a-f]{{16}}\.(onnx|lock)")
    folder = hub.cache_folder() / "onnx"
    made = [path for path in folder.glob("*") if ours.fullmatch(path.name)]
    freed = sum(path.stat().st_size for path in made)
    for path in made:
        path.unlink(missing_ok=True)
    weights = style.variant.weights
    if isinstance(weights, HubWeights) and (download := hub.cached(weights)) is not None:
        freed += download.stat().st_size
        hub.forget(download)
    return freed


def variants_to_try(style: LocatedStyle, name: str = "auto") -> list[StyleVariant]:
    """The variants of a style that `--variant name` means, in the order in which they are tried; at least one.

    "auto" is the card's preferred one, the first, unless it would have to be fetched and there is no hub. If it is on
    the hub, the first of the others that is on this machine comes after it, or in its place. Raises UsageError if the
    style has no such variant.
    """
    preferred = style.variant(name)
    if name != "auto" or not isinstance(preferred.variant.weights, HubWeights):
        return [preferred]
    here = next((other for other in style.variants()[1:] if is_cached(other)), None)
    if here is None:
        return [preferred]
    return [here] if not is_cached(preferred) and not hub.can_fetch() else [preferred, here]
