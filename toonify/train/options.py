"""All that a training run is told: one schema for the command line, the config file and the checkpoint.

A field's annotation holds its limits, its help and the panel of `--help` that it stands in. None means "as the method
has it": `toonify.methods` says what each method fills in, and which fields it does not know.
"""

import difflib
from pathlib import PurePath
from types import NoneType, UnionType
from typing import Annotated, Any, ClassVar, Literal, TypeVar, Union, get_args, get_origin

import msgspec

from toonify.errors import UsageError, display
from toonify.methods import Arch

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


def say(text: str, panel: str) -> msgspec.Meta:
    """The help of an option, and the panel that it stands in."""
    return msgspec.Meta(description=text, extra={"panel": panel})


# The panels of `--help`, in its order
PANELS = METHOD, DATA, NETWORKS, LOSSES, LEARNING, RUN, SHOWN, CARD = (
    "Method",
    "Data",
    "Networks",
    "Losses",
    "Learning",
    "Run",
    "Samples and evaluation",
    "Style card",
)


class RunOptions(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, omit_defaults=True):
    """What every training run is told. Lengths are in pixels, paths are relative to the working folder."""

    command: ClassVar[str]  # that takes these options
    needed: ClassVar[dict[str, str]] = {}  # fields without a default, and what to give

    # Where a resumed run finds what it had before; that it is the same is checked.
    places: ClassVar[frozenset[str]] = frozenset({"content_weights"})
    # Folders and files of the user's machine, which are no business of those who get the style.
    paths: ClassVar[frozenset[str]] = frozenset(
        {"photos", "content_weights", "output", "sample_photos", "eval_photos", "start_from"}
    )
    # What may be given anew to a run that goes on: nothing of it decides what the networks learn from a step.
    changeable: ClassVar[frozenset[str]] = frozenset(
        field
        for line in (
            "content_weights epochs steps workers accumulate output device compile log_every save_every keep",
            "sample_every sample_photos eval_photos eval_every title license attribution",
        )
        for field in line.split()
    )

    photos: Annotated[str, say("Folder of photos.", DATA)] = "data/photo"
    size: Annotated[
        Side | None, say("Side of the crops, cut anywhere in a picture. Default: 256; from noise 64.", DATA)
    ] = None
    workers: Annotated[
        Processes | None,
        say("Processes that read pictures; 0: none of their own. Default: one less than cores.", DATA),
    ] = None

    width: Annotated[Channels | None, say("Channels of the generator's first layer.", NETWORKS)] = None
    blocks: Annotated[Count | None, say("Residual blocks of the generator.", NETWORKS)] = None
    start_from: Annotated[
        str | None,
        say("A style or run whose weights the generator begins with, or the mean of several: a,b.", NETWORKS),
    ] = None

    content: Annotated[
        str | None,
        say("Network of the content loss: vgg19, vgg16, resnet50 or resnet101, with :layer,layer if you like.", LOSSES),
    ] = None
    content_weights: Annotated[
        str | None, say("Its weights, a local file. Default: torchvision's, fetched once.", LOSSES)
    ] = None
    content_weight: Annotated[Weight | None, say("Weight of the content loss (omega).", LOSSES)] = None
    l1_weight: Annotated[Weight | None, say("Weight of the distance to the pair's cartoon.", LOSSES)] = None

    epochs: Annotated[Count, say("Epochs of the last phase.", LEARNING)] = 100
    steps: Annotated[Steps | None, say("Stop after so many steps in all, whatever the epochs.", LEARNING)] = None
    batch_size: Annotated[Count | None, say("Pictures in a step, over all processes.", LEARNING)] = None
    accumulate: Annotated[
        Count, say("Parts in which a step's pictures go through the networks, to save memory.", LEARNING)
    ] = 1
    optimizer: Annotated[Literal["adam", "muon"] | None, say("muon: Adam, but for hidden convolutions.", LEARNING)] = (
        None
    )
    learning_rate: Annotated[Rate | None, say("Learning rate.", LEARNING)] = None
    beta1: Annotated[Decay | None, say("Adam's first beta.", LEARNING)] = None
    schedule: Annotated[
        Literal["constant", "linear", "cosine"] | None,
        say("How the learning rate falls in the last phase; linear: to 0 from the middle on.", LEARNING),
    ] = None
    clip: Annotated[Norm | None, say("Clip gradients to this norm.", LEARNING)] = None
    ema: Annotated[
        Decay | None, say("Decay of the generator's moving average, which is what is kept; 0: none.", LEARNING)
    ] = None
    seed: Annotated[Seed, say("Of weights, order and crops.", LEARNING)] = 0

    output: Annotated[str | None, say("The run's folder. Default: runs/ARCH.", RUN)] = None
    device: Annotated[Literal["auto", "cpu", "cuda"], say("auto takes CUDA where it can run.", RUN)] = "auto"
    precision: Annotated[
        Literal["auto", "fp32", "bf16", "fp16"], say("auto: bf16 where the device has it, else fp32.", RUN)
    ] = "auto"
    compile: Annotated[bool, say("torch.compile: quicker steps after minutes of preparation.", RUN)] = False
    log_every: Annotated[Steps, say("Steps between two lines of the log.", RUN)] = 10
    save_every: Annotated[Count, say("Epochs between two checkpoints.", RUN)] = 1
    keep: Annotated[Count, say("Checkpoints that are kept, beside the best.", RUN)] = 2

    sample_every: Annotated[Steps, say("Steps between two sheets of samples.", SHOWN)] = 500
    sample_photos: Annotated[
        str | None, say("Folder of photos for the samples. Default: --eval-photos, else --photos.", SHOWN)
    ] = None
    eval_photos: Annotated[str | None, say("Folder of photos that are drawn to measure the style.", SHOWN)] = None
    eval_every: Annotated[Count, say("Epochs between two evaluations.", SHOWN)] = 10

    title: Annotated[str | None, say("What the style is called. Default: the output's name.", CARD)] = None
    license: Annotated[str, say("SPDX name of the license of the weights, as that of the data allows.", CARD)] = (
        "NOASSERTION"
    )
    attribution: Annotated[str, say("Whose pictures it was trained on.", CARD)] = ""

    @property
    def method(self) -> str:
        """A name in `methods.METHODS`."""
        raise NotImplementedError

    @property
    def folder(self) -> str:
        """The run's folder."""
        return self.output or f"runs/{self.method}"


class Options(RunOptions, frozen=True, kw_only=True):
    """The options of `train`."""

    command = "train"
    needed: ClassVar[dict[str, str]] = {"arch": f"choose one of {', '.join(get_args(Arch))}"}
    places: ClassVar[frozenset[str]] = RunOptions.places | {"photos", "cartoons", "smooth", "pictures"}
    paths: ClassVar[frozenset[str]] = (
        RunOptions.paths | {"cartoons", "smooth", "pictures"} | {"eval_cartoons", "eval_pictures", "eval_weights"}
    )
    changeable: ClassVar[frozenset[str]] = (
        RunOptions.changeable | places | {"eval_cartoons", "eval_pictures", "eval_metric", "eval_weights", "draw_size"}
    )

    arch: Annotated[Arch, say("How it is trained. Needed, but for --resume.", METHOD)]
    objective: Annotated[
        Literal["gan", "lsgan", "wgan", "wgan-gp", "hinge"] | None, say("The adversarial objective.", METHOD)
    ] = None
    edge_promoting: Annotated[
        bool | None, say("The discriminator sees edge-smoothed cartoons as fakes, too.", METHOD)
    ] = None
    init_epochs: Annotated[CountOrZero | None, say("Epochs of initialization, on content alone.", METHOD)] = None
    critic_steps: Annotated[Count | None, say("Steps of the discriminator for one of the generator.", METHOD)] = None
    grow_epochs: Annotated[
        CountOrZero | None, say("Epochs of each phase in which networks grow, before the last; 0: none.", METHOD)
    ] = None

    cartoons: Annotated[str, say("Folder of cartoons.", DATA)] = "data/anime"
    pictures: Annotated[
        str | None, say("Folder of pictures, for generators from noise: dcgan, progan, stylegan.", DATA)
    ] = None
    augment: Annotated[
        bool | None,
        say("Change at random what the discriminator sees (DiffAugment). Default: under 10,000 pictures.", DATA),
    ] = None
    smooth: Annotated[
        str | None,
        say("Folder of edge-smoothed cartoons. Default: data/smooth if it is there, else smoothed on the fly.", DATA),
    ] = None

    depth: Annotated[Count | None, say("Times that a U-Net halves its picture.", NETWORKS)] = None
    discriminator_width: Annotated[
        Channels | None, say("Channels of the discriminator's first layer; from noise, of its last ones.", NETWORKS)
    ] = None
    norm: Annotated[Literal["batch", "instance", "layer"] | None, say("Normalization.", NETWORKS)] = None
    spectral_norm: Annotated[bool, say("Spectral normalization of the discriminators.", NETWORKS)] = False
    light: Annotated[bool | None, say("The light form of U-GAT-IT.", NETWORKS)] = None

    adversarial_weight: Annotated[Weight | None, say("Weight of the adversarial loss.", LOSSES)] = None
    cycle_weight: Annotated[Weight | None, say("Weight of the cycle loss.", LOSSES)] = None
    identity_weight: Annotated[Weight | None, say("Weight of the identity loss.", LOSSES)] = None
    cam_weight: Annotated[Weight | None, say("Weight of U-GAT-IT's CAM losses.", LOSSES)] = None
    r1: Annotated[Weight | None, say("Gamma of R1, the gradient penalty on real pictures; 0: none.", LOSSES)] = None
    r1_every: Annotated[Count | None, say("Steps from one R1 to the next, which counts as many times.", LOSSES)] = None

    style_weight: Annotated[Weight | None, say("Weight of the style loss (lambda).", LOSSES)] = None

    eval_cartoons: Annotated[str | None, say("Folder of cartoons that they are compared with.", SHOWN)] = None
    eval_pictures: Annotated[
        str | None, say("Folder of pictures that as many pictures from noise are compared with.", SHOWN)
    ] = None
    eval_metric: Annotated[Literal["fid", "kid"], say("Decides which checkpoint is best.", SHOWN)] = "kid"
    eval_weights: Annotated[
        str | None, say("FID's Inception network. Default: the published file, fetched once.", SHOWN)
    ] = None

    draw_size: Annotated[
        Side | None, say("Long side at which convert draws the style. Default: three times --size.", CARD)
    ] = None

    @property
    def method(self) -> str:
        """A name in `methods.METHODS`."""
        return self.arch


# Names that options had in toonify 0.1.0: they are taken on the command line, in config files and in checkpoints.
FORMER_NAMES = {"licence": "license", "optimiser": "optimizer"}


def with_names_of_today(values: dict[str, Any]) -> dict[str, Any]:
    """Options by field name, those with former names by the ones that they have now."""
    return {FORMER_NAMES.get(name, name): value for name, value in values.items()}


def flag(field: str) -> str:
    """The option of a field as it is typed."""
    return "--" + field.replace("_", "-")


def check_values(values: dict[str, Any], kind: type[RunOptions], *, where: str = "") -> None:
    """Raise UsageError for an unknown field, and for a value outside its limits; some may be missing."""
    prefix = f"{where}: " if where else ""
    known = {field.name: field for field in msgspec.structs.fields(kind)}
    for name, value in values.items():
        if name not in known:
            near, command = nearest(name, list(known)), kind.command
            raise UsageError(
                f"{prefix}{display(name)} is no option of {command}{near}; `toonify {command} --help` lists them"
            )
        try:
            # Not strict: YAML takes 1e-4 for text.
            msgspec.convert(value, known[name].type, strict=False)
        except msgspec.ValidationError as error:
            shown = name if where else flag(name)
            wanted = describe_limits(known[name].type)
            raise UsageError(f"{prefix}{shown} {display(str(value))}: give {wanted}") from error


Kind = TypeVar("Kind", bound=RunOptions)


def make_options(values: dict[str, Any], kind: type[Kind] = Options, *, where: str = "") -> Kind:  # type: ignore[assignment]
    """Options from plain values by field name; `where` names the file that they come from.

    Raises UsageError for an unknown field, for a value outside its limits, and for what is missing.
    """
    values = with_names_of_today(values)
    check_values(values, kind, where=where)
    for name, hint in kind.needed.items():
        if name not in values:
            raise UsageError(f"{where}{': ' if where else ''}{flag(name)} is missing; {hint}")
    return msgspec.convert(values, kind, strict=False)


def nearest(name: str, known: list[str]) -> str:
    """The known name that is most like one that is none, as an aside of a message; empty if none is like it."""
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
_NOUNS = {int: "a whole number", float: "a number", bool: "true or false", str: "text", list[str]: "a list of texts"}


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
    given = {str(name).replace("-", "_"): value for name, value in values.items() if value is not None}
    return with_names_of_today(given)
