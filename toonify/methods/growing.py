"""Methods whose networks grow: phases in which layers of more pixels are faded in, and phases in which they settle.

Source: Karras et al.: Progressive Growing of GANs, ICLR 2018, section 2, figure 2 and appendix A.
"""

import math
from dataclasses import dataclass
from typing import ClassVar

import torch.nn.functional as F
from torch import Tensor

from toonify.methods.method import Phase, Settings
from toonify.methods.noise import ADVERSARIAL, NoiseMethod, NoiseSettings
from toonify.models.noise import SMALLEST, Growing, faded

_FADE, _SETTLE = "fade-in", "stabilize"


@dataclass(frozen=True, kw_only=True)
class GrowingSettings(NoiseSettings):
    """What methods can be told that may grow."""

    grow_epochs: int = 0  # of each phase before the last; 0: all layers are there from the beginning


class GrowingMethod(NoiseMethod):
    """A method whose networks may grow.

    How far they have grown follows from the phase and how much of it is done, so that it needs no state.
    """

    settings_type: ClassVar[type[GrowingSettings]]
    first_side: ClassVar[int] = SMALLEST  # pixels, of the pictures at the beginning
    settings: GrowingSettings

    @classmethod
    def phases_of(cls, settings: Settings) -> tuple[Phase, ...]:
        """Layers of a side are faded in, then both networks settle with them; the last phase is the run's own."""
        assert isinstance(settings, GrowingSettings)  # noqa: S101
        if not settings.grow_epochs:
            return (Phase(ADVERSARIAL, settings.epochs),)
        phases = [Phase(f"{_SETTLE} {cls.first_side}", settings.grow_epochs)]
        side = cls.first_side
        while side < settings.size:
            side *= 2
            phases += [Phase(f"{kind} {side}", settings.grow_epochs) for kind in (_FADE, _SETTLE)]
        return (*phases[:-1], Phase(phases[-1].name, settings.epochs))

    def begin_step(self, phase: str, progress: float) -> None:
        """Grow to where the step stands. Where layers are new, the optimizers begin anew (as the authors' program)."""
        level = level_of(phase, progress) if self.settings.grow_epochs else math.log2(self.settings.size)
        for network in (self.generators.network, self.generators.ema_network, self.discriminators.network):
            assert isinstance(network, Growing)  # noqa: S101
            network.level = level
        self.config = {**self.config, "level": 0.0 if 2**level == self.settings.size else level}
        if phase.startswith(_FADE) and progress == 0:
            for trained in self.trained.values():
                trained.forget()

    def real(self, pictures: Tensor) -> Tensor:
        """Real pictures at the size of the drawn ones, averaged; in a fade-in as coarse as those are (figure 2)."""
        discriminator = self.discriminators.network
        assert isinstance(discriminator, Growing)  # noqa: S101
        factor = pictures.shape[-1] // discriminator.side
        if factor > 1:
            pictures = F.avg_pool2d(pictures, factor)
        if discriminator.fraction:
            coarse = F.interpolate(F.avg_pool2d(pictures, 2), scale_factor=2.0)
            pictures = faded(coarse, pictures, discriminator.fraction)
        return pictures


def level_of(phase: str, progress: float) -> float:
    """log2 of the side in a phase; in a fade-in with alpha, which rises evenly from 0 to 1, as its fraction."""
    kind, _, side = phase.partition(" ")
    level = math.log2(int(side))
    return level - 1 + min(progress, 1.0) if kind == _FADE else level
