"""Several styles and looks at once: a plan for each combination of them, under a name of its own."""

import dataclasses
import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from toonify.drawing.load import load_plan
from toonify.drawing.plan import DrawingPlan, default_look, locate_styles, make_plan, settle_faces
from toonify.drawing.style import Style
from toonify.errors import StyleError, UsageError, display
from toonify.networks.cache import variants_to_try
from toonify.styles.look import FacesMode
from toonify.transfer import PictureOptions

RAW = "raw"  # stands for the look where a drawing is left as the network makes it


@dataclass(frozen=True)
class Combination:
    """A style in a look."""

    name: str  # of the style, as it was asked for: an id or a path
    look: str  # a LookName, or RAW
    plan: DrawingPlan
    problem: StyleError | None = None  # why the style cannot be had, where that is known already

    @property
    def label(self) -> str:
        """STYLE-LOOK: how files, folders and messages call it."""
        return f"{self.plan.style.card.id}-{self.look}"


def choose_combinations(
    names: Sequence[str],
    looks: Sequence[str] = (),
    *,
    variant: str = "auto",
    faces: FacesMode = "auto",
    raw: bool = False,
    pictures: PictureOptions | None = None,
    **options: Any,
) -> list[Combination]:
    """Every style in every look, styles first; nothing is fetched but for a style of pictures, which is made.

    `names` are those of styles or paths, at least one; `pictures` is for those that are pictures; without `looks` each
    style has its default one. The other options are those of `choose_plan`, for all alike. A style of which a file is
    missing has its `problem`: others can be drawn without it.

    Raises UsageError for what `choose_plan` refuses, and if two combinations would have one label; StyleError for a
    card that cannot be read, and the problem of the one combination where there is but one.
    """
    combinations = []
    wanted: Sequence[str | None] = looks or [None]
    for name, style in locate_styles(names, pictures, variant=variant):
        variants = variants_to_try(style, variant)
        for look in wanted:
            plan = make_plan(variants, look=look, faces=faces, raw=raw, **options)
            chosen = RAW if raw else look or default_look(style.card.look)
            combinations.append(Combination(name, chosen, plan, _problem(plan)))
    _check_labels(combinations)
    if len(combinations) == 1 and combinations[0].problem is not None:
        raise combinations[0].problem
    plans = settle_faces([combination.plan for combination in combinations])
    return [dataclasses.replace(each, plan=plan) for each, plan in zip(combinations, plans, strict=True)]


class Loader:
    """Loads one plan after the other, and warns but once of what is wrong with several of them."""

    def __init__(self, **runs_on: Any) -> None:
        """`runs_on` are the options of `load_plan`."""
        self._runs_on = runs_on
        self._warned: set[str] = set()
        self._no_faces = False  # their network cannot be had, and a warning has said so

    def __call__(self, plan: DrawingPlan) -> Style:
        """Load a plan. Raises what `load_plan` does."""
        if plan.warning in self._warned:
            plan = plan.without_warning()
        if self._no_faces:
            plan = plan.without_faces()
        style = load_plan(plan, **self._runs_on)
        self._warned.add(plan.warning)
        self._no_faces |= plan.options.faces and not style.plan.options.faces
        return style


def _problem(plan: DrawingPlan) -> StyleError | None:
    try:
        plan.check_weights()
    except StyleError as error:
        return error
    return None


def _check_labels(combinations: Sequence[Combination]) -> None:
    """Raise UsageError if two combinations have one label: their pictures would fall into each other's place."""
    seen: dict[str, Combination] = {}
    for combination in combinations:
        other = seen.setdefault(combination.label, combination)
        if other is combination:
            continue
        one, two = (display(os.fspath(each.name)) for each in (other, combination))
        if one == two:
            raise UsageError(f"{combination.label} is asked for twice; drop one of them")
        raise UsageError(
            f"{one} and {two} are both called {combination.plan.style.card.id}, so that their pictures would fall into "
            "each other's place; draw them one after the other, each with an --output of its own"
        )
