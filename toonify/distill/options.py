"""All that `distill` is told, beside what every training run is."""

from typing import Annotated, ClassVar, Literal

from toonify.errors import UsageError
from toonify.train.options import (
    CARD,
    DATA,
    LOSSES,
    METHOD,
    NETWORKS,
    RUN,
    SHOWN,
    CountOrZero,
    RunOptions,
    Side,
    Weight,
    say,
)


class DistillOptions(RunOptions, frozen=True, kw_only=True):
    """The options of `distill`. Lengths are in pixels, paths are relative to the working folder."""

    command = "distill"
    needed: ClassVar[dict[str, str]] = {
        "teacher": "give a style, the folder of a run or an ONNX file",
        "output": "give the run's folder, such as runs/NAME",
    }
    places: ClassVar[frozenset[str]] = RunOptions.places | {"lpips_weights"}
    paths: ClassVar[frozenset[str]] = RunOptions.paths | {"teacher", "lpips_weights"}
    # Not --eval-photos: they were drawn by the teacher when the run began.
    changeable: ClassVar[frozenset[str]] = (RunOptions.changeable - {"eval_photos"}) | {
        "eval_metric",
        "lpips_weights",
        "id",
        "quantize",
    }

    teacher: Annotated[str, say("The style to learn from: a name, a card, an ONNX file, a run's folder.", METHOD)]
    variant: Annotated[str, say("Variant of the teacher: auto takes the first that is not small itself.", METHOD)] = (
        "auto"
    )
    sizes: Annotated[
        str | None,
        say("Long sides at which photos are drawn, in turn, such as 512,768. Default: the teacher's own.", DATA),
    ] = None
    size: Annotated[
        Side, say("Side of the crops that are trained on, cut on the grid of its stride, never scaled.", DATA)
    ] = 128
    start_from: Annotated[
        str | None,
        say("A student or run whose weights the student begins with, or the mean of several: a,b.", NETWORKS),
    ] = None
    deep_blocks: Annotated[
        CountOrZero | None, say("Residual blocks of the student at an eighth of the size.", NETWORKS)
    ] = None
    contrast: Annotated[
        bool | None, say("The student sees the contrast of the whole frame; tiles take a sweep more.", NETWORKS)
    ] = None
    gradient_weight: Annotated[
        Weight | None, say("Weight of the distance of gradients to those of the pair's drawing.", LOSSES)
    ] = None
    lpips_weight: Annotated[Weight | None, say("Weight of LPIPS to the pair's drawing.", LOSSES)] = None
    eval_metric: Annotated[Literal["lpips", "psnr"], say("Decides which checkpoint is best.", SHOWN)] = "lpips"
    lpips_weights: Annotated[
        list[str] | None,
        say("LPIPS' network, of one file or two (VGG-16, heads). Default: the published files, fetched once.", SHOWN),
    ] = None
    quantize: Annotated[
        bool, say("Leave the student in 8-bit integers, too, with ranges measured on the photos.", RUN)
    ] = False
    license: Annotated[str, say("SPDX name of the license of the weights. Default: the teacher's.", CARD)] = ""
    attribution: Annotated[str, say("Who is named beside the teacher's makers.", CARD)] = ""
    id: Annotated[str | None, say("What --style names it by. Default: the output's name.", CARD)] = None

    @property
    def method(self) -> str:
        """A name in `methods.METHODS`."""
        return "distill"


def parse_sizes(text: str | None) -> tuple[int, ...]:
    """The long sides that `--sizes` names; none if it was not given. Raises UsageError."""
    if text is None:
        return ()
    parts = [part.strip() for part in text.split(",")]
    if not all(part.isascii() and part.isdigit() and 64 <= int(part) <= 8192 for part in parts):
        raise UsageError(f"--sizes {text}: give long sides from 64 to 8192, as in 512,768")
    return tuple(int(part) for part in parts)
