"""From options to a student that can be taught: everything that can be wrong is found here, before it takes time."""

import logging
import os
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path

import msgspec

from toonify.distill.agreement import Agreement
from toonify.distill.options import DistillOptions, parse_sizes
from toonify.distill.targets import (
    Manifest,
    Task,
    draw_pairs,
    missing,
    pairs_of,
    plan_pairs,
    read_manifest,
    write_manifest,
)
from toonify.distill.teacher import Teacher, choose_teacher, open_teacher
from toonify.drawing import DrawingPlan
from toonify.errors import UsageError, display
from toonify.graphs.format import CARD_KEY, read_onnx_metadata
from toonify.methods.distill import DistillSettings
from toonify.methods.method import Method
from toonify.methods.trained import Precision
from toonify.models.contrast import frame_contrast
from toonify.networks.check_photo import check_photo
from toonify.networks.export import export_onnx
from toonify.networks.load import load_module
from toonify.networks.quantize import MIN_PHOTOS, export_int8
from toonify.pixels.arrays import Floats, Pixels
from toonify.styles.card import Card, Training
from toonify.styles.find import find_style, parse_card
from toonify.styles.frame import framed
from toonify.train.begin import find_start, start_names
from toonify.train.check import duration
from toonify.train.folder import RunFolder, trained_variant
from toonify.train.pictures import Folder, Folders, find_folder, find_pictures
from toonify.train.samples import Samples, choose_samples
from toonify.train.settings import method_settings
from toonify.train.start import (
    Outline,
    Resumed,
    check_samples,
    choose_precision,
    describe_folder,
    describe_plan,
    make_plan,
)

_log = logging.getLogger(__name__)

VARIANT = "lite"  # what the student is called on its card
PAIRS, HELD_OUT = "pairs", "held-out"  # folders of the run
PADDING = 16  # pixels of reflected border: beyond them the zeros that convolutions are padded with hardly show
BYTES_PER_PIXEL = 210  # of memory that a student of 64 channels takes on a CPU, measured
_SAMPLE_SIZE = 256  # of the samples, at least: in smaller crops one sees no lines
Bar = Callable[[str, int], AbstractContextManager[Callable[[float], None]]]


@dataclass(frozen=True)
class Targets:
    """Photos of which the teacher's drawings are wanted."""

    flag: str  # that named the photos
    folder: Path  # of the pairs
    photos: Folder
    tasks: list[Task]
    manifest: Manifest | None  # of pairs that are all there

    @property
    def pairs(self) -> Folders:
        """The pairs; before they are drawn the photos stand for their drawings, so that a rehearsal has both."""
        if self.manifest is not None:
            return pairs_of(self.folder, self.manifest)
        return Folders(self.photos, self.photos, None, "no", paired=True)


@dataclass(frozen=True)
class Preparation:
    """A run before its pairs are drawn."""

    options: DistillOptions
    settings: DistillSettings
    precision: Precision
    folder: RunFolder
    plan: DrawingPlan
    pairs: Targets
    held_out: Targets | None
    resumed: Resumed | None

    @property
    def all_targets(self) -> list[Targets]:
        """What is to be drawn."""
        return [self.pairs] if self.held_out is None else [self.pairs, self.held_out]


def prepare(options: DistillOptions, resumed: Resumed | None) -> Preparation:
    """Find and check what a run needs; nothing is written or fetched. Raises UsageError, StyleError, DeviceError."""
    settings = method_settings(options)
    assert isinstance(settings, DistillSettings)  # noqa: S101
    precision = choose_precision(options)
    folder = RunFolder(Path(options.folder))
    folder.check(None if resumed is None else resumed.path, prepared=(PAIRS, HELD_OUT))
    if options.eval_photos is None and not settings.lpips_weight and options.lpips_weights:
        raise UsageError("--lpips-weights is for --eval-photos and --lpips-weight; give one of them, or drop it")
    for path in options.lpips_weights or ():
        if not Path(path).is_file():
            hint = "leave it out to fetch the network" if resumed is None else "give where it lies now"
            raise UsageError(f"--lpips-weights {display(path)}: no such file; {hint}")
    plan = choose_teacher(options.teacher, options.variant)
    sizes = parse_sizes(options.sizes)
    pairs = _targets("--photos", options.photos, folder.path / PAIRS, plan, sizes, resumed)
    held_out = None
    if options.eval_photos is not None:  # at the style's own size, at which convert draws
        held_out = _targets("--eval-photos", options.eval_photos, folder.path / HELD_OUT, plan, (), resumed)
    count = len(pairs.photos.pictures)
    if options.quantize and count < MIN_PHOTOS:
        raise UsageError(f"--quantize measures ranges on {MIN_PHOTOS} photos or more; --photos has {count}")
    if options.start_from is not None and resumed is None:
        for name in start_names(options.start_from):
            find_start(name, "lite", asdict(settings.config))
    return Preparation(options, settings, precision, folder, plan, pairs, held_out, resumed)


def _targets(
    flag: str, name: str, folder: Path, plan: DrawingPlan, sizes: tuple[int, ...], resumed: Resumed | None
) -> Targets:
    manifest = None if resumed is None else read_manifest(folder)
    if manifest is None:
        found = find_folder(name, flag, leave_out=folder.parent)
        return Targets(flag, folder, found, plan_pairs(found.pictures, folder, plan, sizes), None)
    if manifest.weights != plan.style.digest:
        raise UsageError(f"--teacher has other weights than {display(folder)} was drawn with; start a new run")
    pairs = pairs_of(folder, manifest)
    return Targets(flag, folder, pairs.photos, [], manifest)


def describe(prepared: Preparation) -> list[str]:
    """The plan of a run in lines. Raises UsageError if none of the photos can be read."""
    sizes = sorted({task.pair.size for targets in prepared.all_targets for task in targets.tasks if task.pair.size})
    lines = [f"teacher: {prepared.plan.style.label}, which draws at up to {' and '.join(map(str, sizes))} px"]
    for targets in prepared.all_targets:
        if targets.manifest is not None:
            lines.append(f"{targets.flag[2:]}: {len(targets.manifest.pairs)} are drawn")
            continue
        lines += describe_folder(targets.flag[2:], targets.photos, prepared.options.size)
    return lines + describe_plan(outline(prepared))


def open_needed(prepared: Preparation) -> Teacher | None:
    """The teacher, if it is still needed. Raises StyleError, DownloadError, DeviceError."""
    if not any(missing(targets.tasks, prepared.plan) for targets in prepared.all_targets if targets.manifest is None):
        return None
    return open_teacher(prepared.plan, prepared.precision, device=prepared.options.device)


def estimate(prepared: Preparation, teacher: Teacher) -> str:
    """How long the drawings will take, about: as if all photos were as large as they may be, three by four."""
    sides = [task.pair.size for targets in prepared.all_targets for task in targets.tasks]
    megapixels = sum(0.75 * side * side / 1e6 for side in sides if side is not None)
    return f"{len(sides)} drawings take at most about {duration(megapixels * teacher.seconds_per_megapixel)}"


def draw_targets(prepared: Preparation, *, bar: Bar, tell: Callable[[str], None]) -> Preparation:
    """Draw what is not there yet. Photos that cannot be drawn are named by `tell`, and left out.

    Raises ToonifyError if none can be drawn, StyleError, DownloadError, DeviceError, OSError.
    """
    if all(targets.manifest is not None for targets in prepared.all_targets):
        return prepared
    teacher = open_needed(prepared)
    if teacher is not None:
        _log.info("drawings: %s", teacher.remark)
    made = {}
    for targets in prepared.all_targets:
        if targets.manifest is not None:
            made[targets.flag] = targets
            continue
        outcomes = []
        with bar(f"drawings of {targets.flag}", len(targets.tasks)) as advance:
            for outcome in draw_pairs(targets.tasks, prepared.plan, teacher):
                outcomes.append(outcome)
                advance(1)
        for outcome in outcomes:
            if outcome.result == "failed":
                tell(f"failed: {display(outcome.source)}: {outcome.reason}")
        remark = "" if teacher is None else teacher.remark
        manifest = write_manifest(targets.folder, targets.tasks, outcomes, prepared.plan, remark)
        made[targets.flag] = replace(targets, manifest=manifest)
    return replace(prepared, pairs=made[prepared.pairs.flag], held_out=made.get("--eval-photos"))


def outline(prepared: Preparation) -> Outline:
    """The run, whose pairs are drawn or still to be. Raises UsageError if they do not fill a batch."""
    options, held_out = prepared.options, prepared.held_out
    measure = partial(_measure, prepared.settings.config.multiple) if prepared.settings.contrast else None
    grid = prepared.settings.config.multiple
    folders = replace(prepared.pairs.pairs, grid=grid, measure=measure)
    size = max(options.size, _SAMPLE_SIZE)

    def samples() -> Samples:
        if options.sample_photos is not None:
            photos = find_pictures(options.sample_photos, "--sample-photos")
            return check_samples(choose_samples(photos, size, grid=grid, measure=measure), options)
        shown = folders if held_out is None else held_out.pairs
        drawings = shown.cartoons.pictures
        return choose_samples(shown.photos.pictures, size, wanted=drawings, grid=grid, measure=measure)

    return Outline(
        options,
        prepared.settings,
        prepared.folder,
        folders,
        prepared.precision,
        make_plan(options, prepared.settings, folders),
        samples,
        None if held_out is None else Agreement(options, held_out.pairs),
        prepared.resumed,
        lambda method, training: student_card(prepared, method, training),
        variants=(VARIANT, None),
    )


def _measure(multiple: int, photo: Pixels) -> Floats:
    """The contrast of a photo with the border with which the student will draw it."""
    return frame_contrast(framed(photo, multiple=multiple, minimum=multiple, padding=PADDING))


def network_file(folder: RunFolder) -> Path:
    """The ONNX file that a finished run leaves."""
    is_told = folder.name == VARIANT or folder.name.endswith(f"-{VARIANT}")
    return folder.path / (f"{folder.name}.onnx" if is_told else f"{folder.name}-{VARIANT}.onnx")


def lacks_only_network(prepared: Preparation) -> bool:
    """Whether a run that goes on has taken all of its steps, but was killed before its ONNX files were whole."""
    if prepared.resumed is None or prepared.resumed.checkpoint["step"] < outline(prepared).plan.steps:
        return False
    path = network_file(prepared.folder)
    if not path.is_file():
        return True
    written = parse_card(read_onnx_metadata(path).get(CARD_KEY, ""), display(path))
    student = find_style(os.fspath(prepared.folder.path.absolute())).variant(VARIANT)
    if prepared.options.quantize and (student.variant.int8 is None or not int8_file(prepared.folder).is_file()):
        return True
    return written.variants[VARIANT].training != student.variant.training


def write_network(folder: RunFolder) -> str:
    """Write the student of a finished run as ONNX beside its card, checked against PyTorch, and say so in a line.

    Raises ExportError, OSError.
    """
    located = find_style(os.fspath(folder.path.absolute()))  # a bare word would be a shipped style's name
    student = located.variant(VARIANT)
    path = network_file(folder)
    photo = check_photo(student.variant)
    agreement = export_onnx(load_module(student), student, path, photo=photo, overwrite=True)
    return f"{display(path)}: {path.stat().st_size / 1e6:.1f} MB, agrees with PyTorch to {agreement:.0f} dB"


def int8_file(folder: RunFolder) -> Path:
    """The same in 8-bit integers."""
    network = network_file(folder)
    return network.with_name(f"{network.stem}-int8.onnx")


def write_int8(prepared: Preparation) -> str:
    """Write the student of a finished run in 8-bit integers, name the file on its card, and say so in a line.

    The ranges are of the photos that it has learned from, as they were drawn. `write_network` has written the student.
    Raises ExportError, OSError, and UsageError if too few photos are left.
    """
    folder = prepared.folder
    student = find_style(os.fspath(folder.path.absolute())).variant(VARIANT)
    path = int8_file(folder)
    photos = prepared.pairs.pairs.photos.pictures
    about = export_int8(student, path, photos, plain=network_file(folder), overwrite=True)
    folder.name_int8(VARIANT, about)
    return f"{display(path)}: {path.stat().st_size / 1e6:.1f} MB, agrees with float32 to {about.psnr:.1f} dB"


def student_card(prepared: Preparation, method: Method, training: Training) -> Card:
    """The card of the student: the teacher's, but for what is its own."""
    options, plan = prepared.options, prepared.plan
    teacher = plan.style.card
    count = len(prepared.pairs.pairs.photos)
    variant = trained_variant(
        method,
        msgspec.structs.replace(training, teacher=plan.style.label, pictures={"photos": count}),
        padding=PADDING,
        size=plan.options.size,
        bytes_per_pixel=max(1, BYTES_PER_PIXEL * method.config["width"] // 64),
    )
    note = f"Distilled by toonify from {teacher.id}'s drawings of {count} photos."
    return Card(
        id=options.id or prepared.folder.name,
        title=options.title or teacher.title,
        license=options.license or teacher.license,
        license_note=f"{teacher.license_note} {note}".strip(),
        attribution="; ".join(filter(None, [teacher.attribution, options.attribution])),
        source=teacher.source,
        variants={VARIANT: variant},
    )
