"""All that a training run is told: one schema for the command line, the config file and the checkpoint.

A field's annotation holds its limits, its help and the panel of `--help` that it stands in. None means "as the method
has it": `toonify.methods` says what each method fills in, and which fields it does not know.
"""

import difflib
from pathlib import PurePath
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import msgspec

from toonify.errors import UsageError, display

Arch = Literal["cartoongan", "cartoongan-improved", "cyclegan", "ugatit", "pix2pix"]


Count = Annotated[int, msgspec.Meta(ge=1, le=100_000)]
CountOrZero = Annotated[int, msgspec.Meta(ge=0, le=100_000)]
Processes = Annotated[int, msgspec.Meta(ge=0, le=256)]
Channels = Annotated[int, msgspec.Meta(ge=1, le=1024)]
Side = Annotated[int, msgspec.Meta(ge=16, le=8192)]
Weight = Annotated[float, msgspec.Meta(ge=0, le=1e6)]  # of a loss
Decay = Annotated[float, msgspec.Meta(ge=0, lt=1)]
Rate = Annotated[float, msgspec.Meta(gt=0, le=1)]
Norm = Annotated[float, msgspec.Meta(gt=0, le=1e6)]  # of gradients
Steps = Annotated[int, msgspec.Meta(ge=1, le=10**9)]
Seed = Annotated[int, msgspec.Meta(ge=0, le=2**32 - 1)]


def _say(text: str, panel: str) -> msgspec.Meta:
    return msgspec.Meta(description=text, extra={"panel": panel})


_DATA, _METHOD, _NETWORKS, _LOSSES = "Data", "Method", "Networks", "Losses"
_LEARNING, _RUN, _SHOWN, _CARD = "Learning", "Run", "Samples and evaluation", "Style card"


class Options(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, omit_defaults=True):
    """The options of a training run. Lengths are in pixels, paths are relative to the working folder."""

    arch: Annotated[Arch, _say("How it is trained. Needed, but for --resume.", _METHOD)]
    objective: Annotated[
        Literal["gan", "lsgan", "wgan", "wgan-gp", "hinge"] | None, _say("The adversarial objective.", _METHOD)
    ] = None
    edge_promoting: Annotated[
        bool | None, _say("The discriminator sees edge-smoothed cartoons as fakes, too.", _METHOD)
    ] = None
    init_epochs: Annotated[CountOrZero | None, _say("Epochs of initialization, on content alone.", _METHOD)] = None
    critic_steps: Annotated[Count | None, _say("Steps of the discriminator for one of the generator.", _METHOD)] = None

    photos: Annotated[str, _say("Folder of photos.", _DATA)] = "data/photo"
    cartoons: Annotated[str, _say("Folder of cartoons.", _DATA)] = "data/anime"
    smooth: Annotated[
        str | None,
        _say("Folder of edge-smoothed cartoons. Default: data/smooth if it is there, else smoothed on the fly.", _DATA),
    ] = None
    size: Annotated[Side, _say("Side of the squares that are trained on, cut anywhere in a picture.", _DATA)] = 256
    workers: Annotated[
        Processes | None,
        _say("Processes that read pictures; 0: none of their own. Default: one less than cores.", _DATA),
    ] = None

    width: Annotated[Channels | None, _say("Channels of the generator's first layer.", _NETWORKS)] = None
    blocks: Annotated[Count | None, _say("Residual blocks of the generator.", _NETWORKS)] = None
    depth: Annotated[Count | None, _say("Times that a U-Net halves its picture.", _NETWORKS)] = None
    discriminator_width: Annotated[Channels | None, _say("Channels of the discriminator's first layer.", _NETWORKS)] = (
        None
    )
    norm: Annotated[Literal["batch", "instance", "layer"] | None, _say("Normalisation.", _NETWORKS)] = None
    spectral_norm: Annotated[bool, _say("Spectral normalisation of the discriminators.", _NETWORKS)] = False
    light: Annotated[bool | None, _say("The light form of U-GAT-IT.", _NETWORKS)] = None

    content: Annotated[
        str | None,
        _say("Network of the content loss: vgg19, vgg16, resnet50 or resnet101, with :layer if you like.", _LOSSES),
    ] = None
    content_weights: Annotated[
        str | None, _say("Its weights, a local file. Default: torchvision's, fetched once.", _LOSSES)
    ] = None
    content_weight: Annotated[Weight | None, _say("Weight of the content loss (omega).", _LOSSES)] = None
    adversarial_weight: Annotated[Weight | None, _say("Weight of the adversarial loss.", _LOSSES)] = None
    cycle_weight: Annotated[Weight | None, _say("Weight of the cycle loss.", _LOSSES)] = None
    identity_weight: Annotated[Weight | None, _say("Weight of the identity loss.", _LOSSES)] = None
    cam_weight: Annotated[Weight | None, _say("Weight of U-GAT-IT's CAM losses.", _LOSSES)] = None
    l1_weight: Annotated[Weight | None, _say("Weight of the distance to the pair's cartoon.", _LOSSES)] = None

    epochs: Annotated[Count, _say("Epochs after the initialization.", _LEARNING)] = 100
    steps: Annotated[Steps | None, _say("Stop after so many steps in all, whatever the epochs.", _LEARNING)] = None
    batch_size: Annotated[Count | None, _say("Pictures in a step, over all processes.", _LEARNING)] = None
    accumulate: Annotated[
        Count, _say("Parts in which a step's pictures go through the networks, to save memory.", _LEARNING)
    ] = 1
    learning_rate: Annotated[Rate | None, _say("Learning rate.", _LEARNING)] = None
    beta1: Annotated[Decay | None, _say("Adam's first beta.", _LEARNING)] = None
    schedule: Annotated[
        Literal["constant", "linear", "cosine"] | None,
        _say("Learning rate after the initialization; linear: falls to 0 from the middle on.", _LEARNING),
    ] = None
    clip: Annotated[Norm | None, _say("Clip gradients to this norm.", _LEARNING)] = None
    ema: Annotated[
        Decay, _say("Decay of the generator's moving average, which is what is kept; 0: none.", _LEARNING)
    ] = 0.0
    seed: Annotated[Seed, _say("Of weights, order and crops.", _LEARNING)] = 0

    output: Annotated[str | None, _say("The run's folder. Default: runs/ARCH.", _RUN)] = None
    device: Annotated[Literal["auto", "cpu", "cuda"], _say("auto takes CUDA where it can run.", _RUN)] = "auto"
    precision: Annotated[
        Literal["auto", "fp32", "bf16", "fp16"], _say("auto: bf16 where the device has it, else fp32.", _RUN)
    ] = "auto"
    compile: Annotated[bool, _say("torch.compile: quicker steps after minutes of preparation.", _RUN)] = False
    log_every: Annotated[Steps, _say("Steps between two lines of the log.", _RUN)] = 10
    save_every: Annotated[Count, _say("Epochs between two checkpoints.", _RUN)] = 1
    keep: Annotated[Count, _say("Checkpoints that are kept, beside the best.", _RUN)] = 2

    sample_every: Annotated[Steps, _say("Steps between two sheets of samples.", _SHOWN)] = 500
    sample_photos: Annotated[
        str | None, _say("Folder of photos for the samples. Default: --eval-photos, else --photos.", _SHOWN)
    ] = None
    eval_photos: Annotated[str | None, _say("Folder of photos that are drawn to measure the style.", _SHOWN)] = None
    eval_cartoons: Annotated[str | None, _say("Folder of cartoons that they are compared with.", _SHOWN)] = None
    eval_every: Annotated[Count, _say("Epochs between two evaluations.", _SHOWN)] = 10
    eval_metric: Annotated[Literal["fid", "kid"], _say("Decides which checkpoint is best.", _SHOWN)] = "kid"
    eval_weights: Annotated[
        str | None, _say("FID's Inception network. Default: the published file, fetched once.", _SHOWN)
    ] = None

    title: Annotated[str | None, _say("What the style is called. Default: the output's name.", _CARD)] = None
    licence: Annotated[str, _say("SPDX name of the licence of the weights, as that of the data allows.", _CARD)] = (
        "NOASSERTION"
    )
    attribution: Annotated[str, _say("Whose pictures it was trained on.", _CARD)] = ""
    draw_size: Annotated[
        Side | None, _say("Long side at which convert draws the style. Default: three times --size.", _CARD)
    ] = None


# Where a resumed run finds what it had before; that it is the same is checked.
PLACES = frozenset({"photos", "cartoons", "smooth", "content_weights"})
# Folders and files of the user's machine, which are no business of those who get the style.
PATHS = PLACES | frozenset({"output", "sample_photos", "eval_photos", "eval_cartoons", "eval_weights"})
# What else may change then: nothing of it decides what the networks learn from a step.
CHANGEABLE = PLACES | frozenset(
    field
    for line in (
        "epochs steps workers accumulate output device compile log_every save_every keep",
        "sample_every sample_photos eval_photos eval_cartoons eval_every eval_metric eval_weights",
        "title licence attribution draw_size",
    )
    for field in line.split()
)


def flag(field: str) -> str:
    """The option of a field as it is typed."""
    return "--" + field.replace("_", "-")


def make_options(values: dict[str, Any], *, where: str = "") -> Options:
    """Options from plain values by field name; `where` names the file that they come from.

    Raises UsageError for an unknown field, and for a value outside its limits.
    """
    prefix = f"{where}: " if where else ""
    known = {field.name: field for field in msgspec.structs.fields(Options)}
    for name, value in values.items():
        if name not in known:
            near = _nearest(name, list(known))
            raise UsageError(f"{prefix}{display(name)} is no option of train{near}; `toonify train --help` lists them")
        try:
            # Not strict: YAML takes 1e-4 for text.
            msgspec.convert(value, known[name].type, strict=False)
        except msgspec.ValidationError as error:
            shown = name if where else flag(name)
            wanted = describe_limits(known[name].type)
            raise UsageError(f"{prefix}{shown} {display(str(value))}: give {wanted}") from error
    if "arch" not in values:
        raise UsageError(f"{prefix}--arch is missing; choose one of {', '.join(get_args(Arch))}")
    return msgspec.convert(values, Options, strict=False)


def _nearest(name: str, known: list[str]) -> str:
    close = difflib.get_close_matches(name.replace("-", "_"), known, n=1)
    return f" (is it {close[0]}?)" if close else ""


def bare_type(kind: Any) -> tuple[Any, dict[str, int | float]]:
    """The type inside a field's annotation, without None, and its limits (ge, gt, le, lt)."""
    limits: dict[str, int | float] = {}
    while True:
        if get_origin(kind) is Annotated:
            kind, *metas = get_args(kind)
            for meta in metas:
                limits |= {name: getattr(meta, name) for name in _LIMITS if getattr(meta, name) is not None}
        elif get_origin(kind) in (Union, UnionType):
            (kind,) = (one for one in get_args(kind) if one is not NoneType)
        else:
            return kind, limits


_LIMITS = {"ge": "from {}", "gt": "above {}", "le": "to {}", "lt": "below {}"}
_NOUNS = {int: "a whole number", float: "a number", bool: "true or false", str: "text"}


def describe_limits(kind: Any) -> str:
    """What a field takes, in words: `a whole number from 1 to 1024`, `one of batch, instance, layer`."""
    kind, limits = bare_type(kind)
    if get_origin(kind) is Literal:
        return f"one of {', '.join(get_args(kind))}"
    said = (_LIMITS[name].format(_figure(limits[name])) for name in _LIMITS if name in limits)
    return " ".join([_NOUNS[kind], *said])


def _figure(number: int | float) -> str:
    return str(int(number)) if number == int(number) else f"{number:g}"  # 1000000, where g alone has 1e+06


def read_config(text: bytes, path: str) -> dict[str, Any]:
    """The fields of a config file, TOML or YAML by its suffix; names may have - or _. Raises UsageError."""
    suffix = PurePath(path).suffix.lower()
    if suffix not in (".toml", ".yaml", ".yml"):
        raise UsageError(f"--config {display(path)}: give a file that ends in .toml, .yaml or .yml")
    decode = msgspec.toml.decode if suffix == ".toml" else msgspec.yaml.decode
    try:
        values = decode(text)
    except (msgspec.DecodeError, UnicodeDecodeError, ImportError) as error:
        raise UsageError(f"--config {display(path)}: {' '.join(str(error).split())}") from error
    if not isinstance(values, dict):
        raise UsageError(f"--config {display(path)}: expected one `option: value` a line")
    return {str(name).replace("-", "_"): value for name, value in values.items() if value is not None}
