"""The sweeps over a picture that a network takes: what each of them reads, computes, keeps and measures.

An instance norm needs the mean and the variance of what it normalizes over the whole frame. So the picture is swept
once for each norm on the way from photo to drawing, tile by tile: a sweep begins with what earlier ones have kept and
measured, and ends where the next norm begins.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from toonify.graphs.anatomy import NORM, Anatomy, Step

# Numbers for each pixel of the photo above which a value is computed again from what is before it: writing and reading
# it would cost more than the few layers at full size do. CartoonGAN has 64, 32 and 16 at full, half and quarter size.
MAX_DENSITY = 32
FEW = 8  # channels


@dataclass(frozen=True)
class Sweep:
    """One pass over the picture, tile by tile. Names are those of the network's values."""

    steps: tuple[Step, ...]  # in order
    reads: tuple[str, ...]  # the photo, or what earlier sweeps have kept
    keeps: tuple[str, ...]  # for later sweeps; the drawing in the last one
    measures: tuple[str, ...]  # what a norm in the next sweep reads
    halo: int  # pixels around a tile that have to be read for it
    density: float  # numbers for each pixel in the largest value and what it is made from, a measure of the memory


def plan_sweeps(anatomy: Anatomy) -> list[Sweep]:
    """The sweeps of a network in order; one, if it has no norms."""
    on_the_way = _needed(anatomy, [anatomy.drawing], stop=set())
    kept = _crossing(anatomy)
    last = anatomy.value(anatomy.drawing).level
    return [_sweep(anatomy, on_the_way, level, kept) for level in range(last + 1)]


def _crossing(anatomy: Anatomy) -> set[str]:
    """Values that are read in later sweeps than the one that makes them, and are worth being kept for these."""
    return {
        name
        for step in anatomy.steps.values()
        for name in step.sources
        if name != anatomy.photo
        and anatomy.value(name).level < step.value.level
        and anatomy.value(name).margin == 0
        and anatomy.value(name).density <= MAX_DENSITY
        and not _is_cheap(anatomy, name)
    }


def _is_cheap(anatomy: Anatomy, name: str) -> bool:
    """Whether one convolution makes a value of the photo, at its size and of few channels: it is made again."""
    value = anatomy.value(name)
    layers = [step for step in _needed(anatomy, [name], stop=set()) if step.node.op_type in ("Conv", "ConvTranspose")]
    return value.level == 0 and value.unit == 1 and value.channels <= FEW and len(layers) <= 1


def _sweep(anatomy: Anatomy, on_the_way: tuple[Step, ...], level: int, kept: set[str]) -> Sweep:
    here = [step for step in on_the_way if step.value.level == level]
    keeps = [step.name for step in here if step.name in kept or step.name == anatomy.drawing]
    measures = [
        source
        for step in on_the_way
        if step.node.op_type == NORM and step.value.level == level + 1
        for source in step.sources
    ]
    targets = list(dict.fromkeys([*keeps, *measures]))
    before = {name for name in kept if anatomy.value(name).level < level}
    steps = _needed(anatomy, targets, stop=before)
    made = {step.name for step in steps}
    reads = dict.fromkeys(name for step in steps for name in step.sources if name not in made)
    densities = (sum(anatomy.value(name).density for name in (step.name, *step.sources)) for step in steps)
    return Sweep(
        steps, tuple(reads), tuple(keeps), tuple(dict.fromkeys(measures)), _halo(anatomy, steps), max(densities)
    )


def _needed(anatomy: Anatomy, targets: Iterable[str], stop: set[str]) -> tuple[Step, ...]:
    """The steps that make the targets from the photo and the values in `stop`, in order."""
    wanted = set(targets)
    steps = []
    for step in reversed(anatomy.steps.values()):
        if step.name in wanted and step.name not in stop:
            steps.append(step)
            wanted.update(step.sources)
    return tuple(steps[::-1])


def _halo(anatomy: Anatomy, steps: tuple[Step, ...]) -> int:
    """Pixels around a tile that its steps see: a multiple of the network's."""
    seen: dict[str, int] = {}
    for step in reversed(steps):
        radius = seen.get(step.name, 0) + step.radius
        for source in step.sources:
            seen[source] = max(seen.get(source, 0), radius)
    widest = max(seen.values())
    return widest + -widest % anatomy.multiple
