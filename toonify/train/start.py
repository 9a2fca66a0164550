"""From options to a run that can start: everything that can be wrong is found here, before a step is taken."""

from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from toonify.checkpoints.tensors import fingerprint
from toonify.engines.choose import choose_device
from toonify.errors import DeviceError, UsageError, display
from toonify.methods import METHODS
from toonify.methods.adversarial import AdversarialSettings
from toonify.methods.augment import FEW
from toonify.methods.gan import GANMethod
from toonify.methods.method import Method, Settings
from toonify.methods.noise import NoiseSettings
from toonify.methods.trained import Precision
from toonify.models.noise import fitted
from toonify.styles.card import Card, Training
from toonify.system import distributed
from toonify.system.cores import available_cores
from toonify.system.memory import keep_freed_memory
from toonify.train.begin import begin
from toonify.train.check import Heads, duration, free_disk, read_heads, try_step
from toonify.train.data import batches, steps_per_epoch
from toonify.train.evaluation import Evaluation, NoiseDistances, PhotoDistances
from toonify.train.folder import RunFolder, plain, read_checkpoint, style_card
from toonify.train.options import Kind, Options, RunOptions, flag, make_options
from toonify.train.pictures import Folder, Folders, find_folders, find_pictures, find_single
from toonify.train.plan import Plan
from toonify.train.run import Run, set_seed
from toonify.train.samples import SEEDS, Samples, choose_samples, with_styles
from toonify.train.settings import forbidden_changes, method_settings

_NAMED = 3  # files of a kind that are named in a plan


@dataclass(frozen=True)
class Resumed:
    """A run that goes on."""

    path: Path  # of its checkpoint
    checkpoint: dict[str, Any]
    moved: frozenset[str]  # the options that name places and were given anew

    @property
    def output(self) -> Path:
        """The folder that the checkpoint lies in."""
        return self.path.resolve().parent.parent


@dataclass(frozen=True)
class Outline:
    """A run before its networks are built."""

    options: RunOptions
    settings: Settings
    folder: RunFolder
    folders: Folders
    precision: Precision
    plan: Plan
    samples: Callable[[], Samples]
    evaluation: Evaluation | None
    resumed: Resumed | None
    card: Callable[[Method, Training], Card]
    variants: tuple[str, str | None] = ("best", "last")  # of the style: see `Run`


def find_resumed(which: str, asked: dict[str, Any], kind: type[Kind]) -> tuple[Kind, Resumed]:
    """The options of the run that goes on, and its checkpoint; `asked` are those given anew.

    What would change what the networks learn from a step cannot be given anew. Raises UsageError.
    """
    asked_output = None if asked.get("output") is None else Path(asked["output"])
    if which == "last":
        if asked_output is None and "arch" not in asked:
            raise UsageError("--resume last: of which run? Give its folder with --output")
        path = RunFolder(asked_output or Path(f"runs/{asked['arch']}")).find_checkpoint(which)
    else:
        path = RunFolder(Path()).find_checkpoint(which)
    checkpoint = read_checkpoint(path)
    resumed = Resumed(path, checkpoint, frozenset(asked) & kind.places)
    if asked_output is None:
        if path.resolve().parent.name != RunFolder.CHECKPOINTS:
            raise UsageError(f"--resume {display(path)} lies in no run's folder; say where it goes on with --output")
        asked = {**asked, "output": str(resumed.output)}
    made = make_options(checkpoint["options"], kind, where=f"--resume {display(path)}")
    whole = make_options({**checkpoint["options"], **asked}, kind)
    if changed := forbidden_changes(made, asked, whole):
        raise UsageError(f"--resume: a run that goes on cannot take {', '.join(changed)}; start a new one, or drop it")
    return whole, resumed


def outline(options: Options, resumed: Resumed | None = None) -> Outline:
    """Find and check what a run of `train` needs. Raises UsageError, DeviceError."""
    kind = METHODS[options.arch]
    settings = method_settings(options)
    precision = choose_precision(options)
    folder = RunFolder(Path(options.folder))
    if distributed.rank() == 0:  # which may have made it when another process looks
        folder.check(None if resumed is None else resumed.path)
    check_kind_of_pictures(options, kind)
    if kind.from_noise:
        folders = find_single(options)
        settings = with_augmentation(settings, folders)
    else:
        smoothing = isinstance(settings, AdversarialSettings) and settings.edge_promoting
        # A folder of smoothed pictures that came later is not the run's.
        is_new = resumed is None or "smooth" in resumed.checkpoint["pictures"]
        folders = find_folders(options, smoothing=smoothing, paired=kind.paired, look_for_smooth=is_new)
    if resumed is not None:
        _check_moved(folders, resumed)
    plan = make_plan(options, settings, folders)
    evaluation = find_evaluation(options, kind)
    photos = folders.photos.pictures if evaluation is None or kind.from_noise else evaluation.photos
    if options.sample_photos is not None:
        photos = find_pictures(options.sample_photos, "--sample-photos")

    def samples() -> Samples:
        is_paired = kind.paired and photos is folders.photos.pictures
        chosen = choose_samples(photos, settings.size, wanted=folders.cartoons.pictures if is_paired else ())
        if kind.from_pictures:
            chosen = with_styles(chosen, folders.cartoons.pictures)
        return check_samples(replace(chosen, seeds=SEEDS) if kind.from_noise else chosen, options)

    def card(method: Method, training: Training) -> Card:
        return style_card(folder, method, options, training)

    return Outline(options, settings, folder, folders, precision, plan, samples, evaluation, resumed, card)


def check_kind_of_pictures(options: Options, kind: type[Method]) -> None:
    """Raise UsageError for options of photos where a generator draws from noise, and the other way round."""
    of_photos = ("photos", "cartoons", "smooth", "sample_photos", "eval_photos", "eval_cartoons", "draw_size")
    given = plain(options)
    of_noise = ("pictures", "eval_pictures")
    if kind.from_pictures and (options.eval_photos, options.eval_cartoons) != (None, None):
        raise UsageError(f"--eval-photos is not for {options.arch}, which has no style of its own; look at its samples")
    way_out = "it learns from --pictures alone" if kind.from_noise else "it learns from --photos and --cartoons"
    for name in of_photos if kind.from_noise else of_noise:
        if name in given:
            raise UsageError(f"{flag(name)} is not for {options.arch}; {way_out}")


def with_augmentation(settings: Settings, folders: Folders) -> Settings:
    """The settings with it decided whether pictures are augmented: if there are few, unless it is said otherwise."""
    assert isinstance(settings, NoiseSettings)  # noqa: S101
    if settings.augment is not None:
        return settings
    return replace(settings, augment=len(folders.photos) < FEW)


def find_evaluation(options: Options, kind: type[Method]) -> Evaluation | None:
    """What a run is measured by, if it is. Raises UsageError, WeightsError."""
    if (options.eval_photos is None) != (options.eval_cartoons is None):
        raise UsageError("--eval-photos and --eval-cartoons go together; give both, or neither")
    needed = "--eval-pictures; give it" if kind.from_noise else "--eval-photos and --eval-cartoons; give them"
    there = options.eval_pictures if kind.from_noise else options.eval_photos
    for name in ("eval_weights", "eval_every", "eval_metric"):
        if there is None and name in plain(options):
            raise UsageError(f"{flag(name)} is for {needed}, or drop it")
    if there is None:
        return None
    return NoiseDistances(options) if kind.from_noise else PhotoDistances(options)


def check_samples(chosen: Samples, options: RunOptions) -> Samples:
    """Raise UsageError if none of the photos that were to be shown can be read."""
    if options.sample_photos is not None and not len(chosen.photos):
        raise UsageError(f"--sample-photos {display(options.sample_photos)}: none of its pictures can be read")
    return chosen


def make_plan(options: RunOptions, settings: Settings, folders: Folders) -> Plan:
    """The course of a run. Raises UsageError if the folders do not fill a batch, or processes cannot share one."""
    per_epoch = steps_per_epoch(folders, settings.batch_size)
    world = distributed.world_size()
    if settings.batch_size % world:
        raise UsageError(f"--batch-size {settings.batch_size} cannot be shared by {world} processes; give a multiple")
    method = METHODS[options.method]
    return Plan(method.phases_of(settings), per_epoch, settings.schedule, options.steps, method.warm_up)


def _check_moved(folders: Folders, resumed: Resumed) -> None:
    """Raise UsageError if a folder that was given anew has other pictures than the run's."""
    before, now = resumed.checkpoint["pictures"], folders.digests()
    for title in sorted(resumed.moved & now.keys()):
        if before.get(title) != now[title]:
            raise UsageError(f"--resume: the pictures of --{title} are others than the run has; start a new one")


def choose_precision(options: RunOptions) -> Precision:
    """Device and precision of a run, with `auto` decided. Raises DeviceError if what was asked for cannot run."""
    device = choose_device(options.device, "torch")
    if options.precision == "auto":
        return Precision(device, torch.bfloat16 if _has_bf16(device) else torch.float32)
    if options.precision == "fp16" and device == "cpu":
        raise DeviceError("--precision fp16 is for GPUs; give bf16 or fp32")
    if options.precision == "bf16" and not _has_bf16(device):
        raise DeviceError(f"--precision bf16: this {device} has no instructions for it; give fp32")
    return Precision(device, {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}[options.precision])


def _has_bf16(device: str) -> bool:
    if device == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    tests = ("_is_avx512_bf16_supported", "_is_amx_tile_supported")  # what oneDNN uses; emulation would be slower
    return any(bool(getattr(torch.cpu, test, lambda: False)()) for test in tests)


def make_run(lined: Outline) -> tuple[Run, list[str]]:
    """Build the networks, from fresh weights or a checkpoint, and return the run with what is to be said of it.

    Raises StyleError, DownloadError, UsageError.
    """
    options = lined.options
    tune(lined.precision.device)
    set_seed(options.seed)
    method = METHODS[options.method](lined.settings, lined.precision)
    set_seed(options.seed + distributed.rank())  # from here on each process draws its own numbers
    if options.compile:
        method.compile()
    leads = distributed.rank() == 0
    run = Run(
        options=options,
        folder=lined.folder,
        folders=lined.folders,
        method=method,
        plan=lined.plan,
        workers=_workers(options),
        samples=lined.samples() if leads else Samples(np.empty((0, 1, 1, 3), np.uint8)),
        evaluation=lined.evaluation,
        card=lambda training: lined.card(method, training),
        best_variant=lined.variants[0],
        last_variant=lined.variants[1],
        perceptual={
            option: fingerprint(network.state_dict()) for option, network in method.perceptual_networks.items()
        },
        parts=options.accumulate,
    )
    remarks = []
    if lined.resumed is not None:
        remarks = run.load(lined.resumed.checkpoint)
    elif options.start_from is not None:
        remark, run.ancestors = begin(method, options.start_from)
        remarks = [remark, *begin_discriminators(method, options.start_from)]
    if run.finished:
        longer = "--epochs" if options.steps is None else "--steps or --epochs"
        raise UsageError(
            f"the run in {display(lined.folder.path)} is finished ({run.step} steps); raise {longer} to train on, "
            "or give another --output"
        )
    return run, remarks


def begin_discriminators(method: Method, name: str) -> list[str]:
    """Where a generator from noise begins with a run's weights, give the discriminator the run's, too, and say so.

    A fresh one would take the generator back to the beginning. A run keeps them in its checkpoints; if there are none,
    or they are of other networks, it stays fresh, and that is said.
    """
    if not method.from_noise or not isinstance(method, GANMethod):
        return []
    there = RunFolder(Path(name)).checkpoints()
    try:
        state = read_checkpoint(there[-1])["method"]["discriminator"]["network"] if there else None
        if state is not None:
            network = method.discriminators.network
            network.load_state_dict(fitted(state, network))
            return ["begins with its discriminator, too"]
    except (KeyError, RuntimeError, UsageError):
        pass
    return ["begins with a fresh discriminator, as there is none that fits beside those weights"]


def tune(device: str) -> None:
    """Set the process up for many steps of one size."""
    if device == "cuda":
        torch.backends.cudnn.benchmark = True
        torch.set_float32_matmul_precision("high")  # TF32, where float32 is asked for
    else:
        keep_freed_memory()


def _workers(options: RunOptions) -> int:
    if options.workers is not None:
        return options.workers
    share = available_cores() // distributed.world_size()
    return max(1, min(8, share - 1))


def describe(lined: Outline) -> list[str]:
    """The plan of a run of `train`, with what its folders' files say. Raises UsageError if a folder is of no use."""
    folders = lined.folders
    lines = []
    for title, folder in folders.named.items():
        lines += describe_folder(title, folder, lined.settings.size)
    if folders.smoothing == "fly":
        lines.append("smooth: made of the cartoons on the fly")
    return lines + describe_plan(lined)


def describe_folder(title: str, folder: Folder, size: int) -> list[str]:
    """What the heads of a folder's files say, which `--title` named. Raises UsageError if none can be read."""
    heads = read_heads(folder, size)
    if not heads.readable:
        raise UsageError(f"--{title} {display(folder.name)}: none of its pictures can be read")
    others = f"; not read: {folder.others}" if folder.others else ""
    return [f"{title}: {heads.readable} in {display(folder.name)}{others}", *_remarks(heads, size)]


def describe_plan(lined: Outline) -> list[str]:
    """How long a run goes, and where."""
    plan = lined.plan
    lines = []
    phases = ", ".join(f"{phase.name} {phase.epochs}" for phase in plan.phases if phase.epochs)
    lines.append(f"epochs of {plan.steps_per_epoch} steps: {phases}; {plan.steps} steps of {lined.settings.batch_size}")
    processes = distributed.world_size()
    together = f", {processes} processes" if processes > 1 else ""
    lines.append(
        f"on {lined.precision.device}, {lined.precision.name}{together}; output in {display(lined.folder.path)}"
    )
    return lines


def _remarks(heads: Heads, size: int) -> list[str]:
    lines = [f"  left out: {display(path)}: {reason}" for path, reason in heads.broken[:_NAMED]]
    if len(heads.broken) > _NAMED:
        lines.append(f"  and {len(heads.broken) - _NAMED} more that cannot be read")
    if heads.small:
        names = ", ".join(display(path) for path in heads.small[:_NAMED])
        more = f" and {len(heads.small) - _NAMED} more" if len(heads.small) > _NAMED else ""
        lines.append(f"  enlarged, as they are smaller than {size}: {names}{more}")
    return lines


def rehearse(run: Run) -> list[str]:
    """Take trial steps with real pictures, and tell what the run will take; after that it is of no further use.

    Raises UsageError if memory or disk are too small, TrainingError if no picture can be read.
    """
    settings, options = run.method.settings, run.options
    size, count = settings.size, settings.batch_size
    source = batches(run.folders, options, size=size, batch_size=count, first_step=run.step, workers=0)
    batch, _problems = next(source)
    trial = try_step(run.method, batch, parts=run.parts)
    disk = free_disk(run.folder.path)
    needed = trial.checkpoint * (options.keep + 2)
    if needed > disk:
        raise UsageError(f"checkpoints need {_size(needed)} and {_size(disk)} are free; lower --keep or --width")
    left = run.plan.steps - run.step
    told = ((field.name.replace("_", " "), getattr(settings, field.name)) for field in fields(settings))
    return [
        f"settings: {', '.join(f'{name} {value}' for name, value in told if value is not None)}",
        f"a trial step took {trial.seconds:.2f} s and {_size(trial.memory)} of memory at most; "
        f"{left} steps take about {duration(trial.seconds * left)}",
        f"a checkpoint takes {_size(trial.checkpoint)}; {_size(disk)} are free",
    ]


def _size(count: int) -> str:
    return f"{count / 1e9:.1f} GB" if count >= 1e9 else f"{count / 1e6:.1f} MB"
