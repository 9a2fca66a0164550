"""Folders to batches: which pictures make which step, whoever reads them, and what broken ones do."""

import contextlib
import itertools
import os
import shutil
import signal
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import psutil
import pytest
import torch
from PIL import Image
from training import pictures
from videos import scene

from toonify.errors import ImageError, TrainingError, UsageError
from toonify.jobs.find import Found
from toonify.methods.batch import Batch
from toonify.pixels.arrays import Floats, Pixels
from toonify.pixels.crops import random_boxes
from toonify.pixels.edges import smooth_edges
from toonify.train.check import read_heads
from toonify.train.data import Crops, batches, steps_per_epoch
from toonify.train.options import Options
from toonify.train.pictures import Folders, find_folders, read_picture
from toonify.train.samples import choose_samples

SIZE = 16


def plain(folder: Path, count: int, *, first: int = 0) -> Path:
    """Pictures of one gray each, by which they are known again."""
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(first, first + count):
        Image.new("RGB", (40, 30), (number, number, number)).save(folder / f"{number:03}.png")
    return folder


def options(photos: Path, cartoons: Path, smooth: Path | None = None, *, seed: int = 0) -> Options:
    where = {"photos": str(photos), "cartoons": str(cartoons), "smooth": None if smooth is None else str(smooth)}
    return Options(arch="cartoongan", size=SIZE, seed=seed, **where)


def grays(tensor: torch.Tensor) -> list[int]:
    """Which plain pictures a batch has."""
    return [round(float(value)) for value in (tensor.mean(dim=(1, 2, 3)) + 1) * 127.5]


def take(folders: Folders, made: Options, count: int, *, batch: int = 2, first: int = 0, **who: int) -> list[Batch]:
    with contextlib.closing(
        batches(folders, made, size=SIZE, batch_size=batch, first_step=first, **{"workers": 0, **who})
    ) as source:
        return [got for got, _ in itertools.islice(source, count)]


@pytest.fixture
def folders(tmp_path: Path) -> Folders:
    """11 photos and 4 cartoons: an epoch is 2 steps of 2."""
    return _find(tmp_path, 11, 4)


def _find(tmp_path: Path, photos: int, cartoons: int) -> Folders:
    made = options(plain(tmp_path / "photos", photos), plain(tmp_path / "cartoons", cartoons, first=100))
    return find_folders(made, smoothing=False, paired=False)


def made(folders: Folders, seed: int = 0) -> Options:
    return options(Path(folders.photos.name), Path(folders.cartoons.name), seed=seed)


@pytest.fixture(autouse=True)
def _no_waiting_for_ever() -> Iterator[None]:
    """A reader that hangs, or a pipe that is opened, is to fail the test and not to stop all of them."""

    def late(*_: Any) -> None:
        raise TimeoutError

    before = signal.signal(signal.SIGALRM, late)
    signal.alarm(60)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


# --- which pictures ---


def test_no_picture_comes_twice_in_an_epoch_and_the_larger_folder_is_gone_through(folders: Folders) -> None:
    steps = steps_per_epoch(folders, 2)
    assert steps == 2
    got = take(folders, made(folders), 40 * steps)
    photos = [grays(batch.photo) for batch in got]
    for epoch in range(40):
        within = slice(epoch * steps, (epoch + 1) * steps)
        assert len(set(itertools.chain(*photos[within]))) == 4
        assert sorted(itertools.chain(*(grays(batch.cartoon) for batch in got[within]))) == [100, 101, 102, 103]
    # Two epochs are one pass over the photos, of which three are left over, others each time.
    for start in range(0, 80, 4):
        assert len(set(itertools.chain(*photos[start : start + 4]))) == 8
    counts = Counter(itertools.chain(*photos))
    assert len(counts) == 11 and max(counts.values()) < 2 * min(counts.values())


def test_batches_have_the_range_and_layout_of_networks(folders: Folders) -> None:
    (batch,) = take(folders, made(folders), 1)
    assert batch.photo.shape == batch.cartoon.shape == (2, 3, SIZE, SIZE) and batch.smooth is None
    assert batch.photo.dtype == torch.float32 and batch.photo.min() >= -1 and batch.photo.max() <= 1
    assert batch.to("cpu").photo.is_contiguous(memory_format=torch.channels_last)


def test_the_same_seed_gives_the_same_and_another_seed_another_order(folders: Folders) -> None:
    def order(seed: int) -> list[list[int]]:
        return [grays(batch.photo) for batch in take(folders, made(folders, seed), 6)]

    assert order(3) == order(3) != order(4)


def test_a_run_goes_on_with_the_pictures_that_it_would_have_had(folders: Folders) -> None:
    whole = take(folders, made(folders), 9)
    for first in (1, 4, 7):
        rest = take(folders, made(folders), 9 - first, first=first)
        assert all(torch.equal(a.photo, b.photo) for a, b in zip(whole[first:], rest, strict=True))


@pytest.mark.parametrize("world", [2, 4])
def test_processes_share_a_batch_between_them(tmp_path: Path, world: int) -> None:
    folders = _find(tmp_path, 11, 9)
    whole = take(folders, made(folders), 5, batch=4)
    shards = [take(folders, made(folders), 5, batch=4, rank=rank, world=world) for rank in range(world)]
    for step, batch in enumerate(whole):
        joined = torch.cat([shard[step].photo for shard in shards])
        assert torch.equal(joined, batch.photo)  # so that none has what another has
        assert len(set(grays(joined))) == 4


@pytest.mark.filterwarnings("ignore:This DataLoader will create")  # on one core
def test_workers_read_the_same_and_take_no_random_number_from_the_networks(training_data: Path) -> None:
    made = options(training_data / "photos", training_data / "cartoons")
    folders = find_folders(made, smoothing=True, paired=False)
    before = torch.get_rng_state()
    alone = take(folders, made, 3)
    helped = take(folders, made, 3, workers=2)
    assert torch.equal(torch.get_rng_state(), before)
    for a, b in zip(alone, helped, strict=True):
        assert torch.equal(a.photo, b.photo) and torch.equal(a.cartoon, b.cartoon) and torch.equal(a.smooth, b.smooth)


def test_workers_start_though_opencv_has_run_threads(training_data: Path) -> None:
    threads = cv2.getNumThreads()
    cv2.setNumThreads(4)
    try:
        made = options(training_data / "photos", training_data / "cartoons")
        folders = find_folders(made, smoothing=False, paired=False)
        cv2.resize(np.zeros((3000, 3000, 3), np.uint8), (2000, 2000), interpolation=cv2.INTER_LANCZOS4)
        take(folders, made, 1, workers=1)
        assert cv2.getNumThreads() == 4
    finally:
        cv2.setNumThreads(threads)


def test_crops_are_cut_anywhere_and_mirrored_half_of_the_time(tmp_path: Path) -> None:
    ramp = np.empty((30, 60, 3), np.uint8)
    ramp[:] = np.arange(60, dtype=np.uint8)[None, :, None] * 4
    ramp[..., 1] = np.arange(30, dtype=np.uint8)[:, None] * 8
    for name in ("photos", "cartoons"):
        (tmp_path / name).mkdir()
        for number in range(4):
            Image.fromarray(ramp).save(tmp_path / name / f"{number}.png")
    made = options(tmp_path / "photos", tmp_path / "cartoons")
    folders = find_folders(made, smoothing=False, paired=False)
    crops = Crops(folders, size=SIZE, seed=0, epoch=4)
    got = [crops[place]["photo"].astype(int) for place in range(200)]
    mirrored = [crop[:, -1, 0].mean() < crop[:, 0, 0].mean() for crop in got]
    assert 70 < sum(mirrored) < 130
    assert all(crop[-1, :, 1].mean() > crop[0, :, 1].mean() for crop in got)  # never upside down
    places = {(crop[..., 0].min() // 16, crop[..., 1].min() // 16) for crop in got}
    assert len(places) > 20
    assert all(crop.shape == (SIZE, SIZE, 3) for crop in got)


# --- smoothed cartoons, pairs ---


def test_smoothed_cartoons_come_from_their_folder_or_are_made_on_the_spot(
    tmp_path: Path, training_data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    made = options(training_data / "photos", training_data / "cartoons")
    folders = find_folders(made, smoothing=True, paired=False)
    item = Crops(folders, size=SIZE, seed=0, epoch=4)[0]
    assert folders.smoothing == "fly" and np.array_equal(item["smooth"], smooth_edges(item["cartoon"]))
    plain(Path("data/smooth"), 6, first=200)
    folders = find_folders(made, smoothing=True, paired=False)  # it is there, so it is taken
    assert folders.smoothing == "folder" and folders.counts() == {"photos": 7, "cartoons": 5, "smooth": 6}
    seen = [grays(batch.smooth) for batch in take(folders, made, 10)]
    assert set(itertools.chain(*seen)) <= set(range(200, 206))
    spare = options(training_data / "photos", training_data / "cartoons", Path("data/smooth"))
    with pytest.raises(UsageError, match="--smooth is for --edge-promoting"):
        find_folders(spare, smoothing=False, paired=False)


def test_pairs_are_cut_and_mirrored_together(tmp_path: Path, training_data: Path) -> None:
    """Also where the cartoons are smaller, of another format, or have smoothed ones."""
    for name, number in (("cartoons", 3), ("smooth", 5)):
        (tmp_path / name).mkdir()
        for path in pictures(training_data / "photos"):
            pixels = np.asarray(Image.open(path)) // number
            picture = Image.fromarray(pixels)
            picture.save(tmp_path / name / f"{path.stem}.bmp")
    made = options(training_data / "photos", tmp_path / "cartoons", tmp_path / "smooth")
    folders = find_folders(made, smoothing=True, paired=True)
    crops = Crops(folders, size=32, seed=0, epoch=7)
    for place in range(20):
        item = crops[place]
        assert np.abs(item["photo"] / 3 - item["cartoon"]).max() < 4
        assert np.abs(item["photo"] / 5 - item["smooth"]).max() < 4


def test_pairs_may_differ_in_size(tmp_path: Path) -> None:
    for name, size in (("photos", (60, 40)), ("cartoons", (30, 20))):
        (tmp_path / name / "sub").mkdir(parents=True)
        for number in range(2):
            Image.fromarray(scene(number, 400, 600)).resize(size).save(tmp_path / name / "sub" / f"{number}.png")
    made = options(tmp_path / "photos", tmp_path / "cartoons")
    folders = find_folders(made, smoothing=False, paired=True)
    item = Crops(folders, size=SIZE, seed=0, epoch=2)[0]
    assert np.abs(item["photo"].astype(int) - item["cartoon"]).mean() < 12


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda folder: (folder / "3.png").unlink(), "1 stands alone, such as .*photos/3.png"),
        (lambda folder: shutil.copy(folder / "3.png", folder / "33.png"), "1 stands alone, such as .*cartoons/33.png"),
        (lambda folder: [path.unlink() for path in pictures(folder)[2:]], "5 stand alone, such as .*photos/2.png"),
        (lambda folder: Image.new("RGB", (9, 9)).save(folder / "3.bmp"), "3.bmp and .*3.png have one name"),
    ],
)
def test_pairs_that_do_not_match_are_named(tmp_path: Path, training_data: Path, spoil: object, said: str) -> None:
    for name in ("photos", "cartoons"):
        shutil.copytree(training_data / "photos", tmp_path / name)
    spoil(tmp_path / "cartoons")
    with pytest.raises(UsageError, match=said):
        find_folders(options(tmp_path / "photos", tmp_path / "cartoons"), smoothing=False, paired=True)


# --- folders that will not do ---


@pytest.mark.parametrize("which", ["photos", "cartoons"])
@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda folder: None, "no such folder; `toonify prepare` makes one"),
        (lambda folder: folder.mkdir(), "no photos in"),
        (lambda folder: folder.write_bytes(b"a file"), "no such folder"),
    ],
)
def test_a_folder_that_will_not_do_is_named_with_its_option(
    tmp_path: Path, which: str, make: object, said: str
) -> None:
    other = plain(tmp_path / "good", 2)
    make(tmp_path / "bad")
    where = {"photos": other, "cartoons": other, which: tmp_path / "bad"}
    with pytest.raises(UsageError, match=f"--{which}.* .*{said}|--{which}: {said}"):
        find_folders(options(**where), smoothing=False, paired=False)


def test_a_folder_name_that_is_too_long_is_one_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no such folder"):
        find_folders(options(tmp_path / ("x" * 300), tmp_path), smoothing=False, paired=False)


def test_too_few_pictures_for_a_batch_name_the_folder_and_the_batch_that_would_do(tmp_path: Path) -> None:
    folders = _find(tmp_path, 9, 1)
    assert steps_per_epoch(folders, 1) == 1
    with pytest.raises(UsageError, match=r"--batch-size 2: .*cartoons has 1 picture; add some, or give --batch-size 1"):
        steps_per_epoch(folders, 2)


def test_one_picture_is_enough_for_an_endless_run(tmp_path: Path) -> None:
    folders = _find(tmp_path, 1, 1)
    assert [grays(batch.photo) for batch in take(folders, made(folders), 3, batch=1)] == [[0]] * 3


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may read everything")
def test_a_folder_that_may_not_be_read(tmp_path: Path) -> None:
    folder = plain(tmp_path / "photos", 2)
    folder.chmod(0)
    try:
        with pytest.raises(UsageError, match="--photos"):
            find_folders(options(folder, folder), smoothing=False, paired=False)
    finally:
        folder.chmod(0o700)


# --- pictures that will not do ---


def hostile(folder: Path) -> dict[str, str]:
    """Pictures of every bad kind, and what is said of each."""
    good = folder / "000.png"
    (folder / "empty.jpg").touch()
    (folder / "cut.png").write_bytes(good.read_bytes()[:60])
    (folder / "text.png").write_bytes(b"no picture at all")
    (folder / "gone.png").symlink_to("nowhere.png")
    os.mkfifo(folder / "pipe.png")
    return {
        "empty.jpg": "not a picture",
        "cut.png": "damaged",
        "text.png": "not a picture",
        "gone.png": "cannot be opened: No such file or directory",
        "pipe.png": "not a regular file",
    }


def test_broken_pictures_are_named_and_another_serves(tmp_path: Path) -> None:
    plain(tmp_path / "photos", 6)
    bad = hostile(tmp_path / "photos")
    folders = _find(tmp_path, 6, 4)
    source = batches(folders, made(folders), size=SIZE, batch_size=2, first_step=0, workers=0)
    told: Counter[str] = Counter()
    for batch, problems in itertools.islice(source, 40):
        told.update(problems)
        assert set(grays(batch.photo)) <= set(range(6)) and len(batch) == 2
    said = {Path(line.partition(": ")[0]).name: line for line in told}
    assert said.keys() == bad.keys() and all(bad[name] in said[name] for name in bad)
    heads = read_heads(folders.photos, 100)
    assert heads.readable == 6 + 1  # a head can be whole where the rest is not
    assert {path.name for path, _ in heads.broken} == bad.keys() - {"cut.png"}


def test_color_modes_and_tiny_pictures_are_taken(tmp_path: Path) -> None:
    folder = tmp_path / "photos"
    folder.mkdir()
    picture = Image.fromarray(scene(0, 40, 50))
    picture.convert("CMYK").save(folder / "cmyk.jpg")
    picture.convert("LA").save(folder / "gray.png")
    picture.convert("P").save(folder / "palette.gif")
    picture.resize((1, 1)).save(folder / "dot.png")
    picture.resize((3, 900)).save(folder / "stripe.png")
    folders = find_folders(options(folder, folder), smoothing=False, paired=False)
    crops = Crops(folders, size=SIZE, seed=0, epoch=5)
    items = [crops[place] for place in range(10)]
    assert all(item["photo"].shape == (SIZE, SIZE, 3) and not item["problems"] for item in items)
    heads = read_heads(folders.photos, SIZE)
    assert {path.name for path in heads.small} == {"dot.png", "stripe.png"} and not heads.broken
    assert random_boxes(1, 900, SIZE, 1, np.random.default_rng(0))[0].bottom == 1


def test_a_picture_that_goes_or_turns_to_garbage_during_the_run(tmp_path: Path) -> None:
    folders = _find(tmp_path, 4, 4)
    source = batches(folders, made(folders), size=SIZE, batch_size=2, first_step=0, workers=0)
    next(source)
    (tmp_path / "photos" / "001.png").unlink()
    (tmp_path / "photos" / "002.png").write_bytes(b"garbage")
    told = set()
    for batch, problems in itertools.islice(source, 10):
        told.update(problems)
        assert set(grays(batch.photo)) <= {0, 3}
    assert {line.partition("photos/")[2] for line in told} == {
        "001.png: cannot be read: No such file or directory",
        "002.png: not a picture, or of a kind that is not read",
    }


@pytest.mark.parametrize(
    ("own", "memory", "kept"), [(False, 10**6, 0), (True, 0, 0), (True, 3 * 40 * 30 * 3, 3), (True, 10**6, 11)]
)
def test_a_runs_own_pictures_are_read_once_as_far_as_the_memory_goes(
    folders: Folders, own: bool, memory: int, kept: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Eleven photos that are their own cartoons, in two epochs: each is wanted four times."""
    paired = replace(folders, cartoons=folders.photos, paired=True, grid=1)
    count: list[Path] = []
    real = read_picture

    def reading(found: Found) -> Pixels:
        count.append(found.path)
        return real(found)

    expected = [Crops(paired, size=SIZE, seed=1, epoch=11)[place]["photo"] for place in range(22)]
    monkeypatch.setattr("toonify.train.data.read_picture", reading)
    crops = Crops(replace(paired, own=own), size=SIZE, seed=1, epoch=11, memory=memory)
    for place, photo in enumerate(expected):
        assert np.array_equal(crops[place]["photo"], photo)
    assert len(count) == 2 * 2 * 11 - 3 * kept


@pytest.mark.parametrize(("side", "width"), [(SIZE, 67), (24, 67), (SIZE, 64), (24, 24)])
def test_crops_lie_on_a_grid_and_mirrored_ones_do_too(tmp_path: Path, side: int, width: int) -> None:
    """Each pixel of the picture says where it lies."""
    down, right = np.mgrid[0:45, 0:width].astype(np.uint8)
    Image.fromarray(np.stack([down, right, down], 2)).save(tmp_path / "where.png")
    folders = replace(find_folders(options(tmp_path, tmp_path), smoothing=False, paired=True), grid=8)
    crops = [Crops(folders, size=side, seed=0, epoch=1)[place] for place in range(400)]
    assert all(np.array_equal(crop["photo"], crop["cartoon"]) for crop in crops)
    plain: set[tuple[int, int]] = set()
    mirrored: set[tuple[int, int]] = set()
    for crop in (each["photo"].astype(int) for each in crops):
        top, first, _ = crop[0, 0]
        step = crop[0, 1, 1] - first
        (plain if step == 1 else mirrored).add((int(top), int(first)))
        assert abs(step) == 1 and np.array_equal(crop[..., 0], np.arange(top, top + side)[:, None] + 0 * crop[..., 0])
        assert np.array_equal(crop[..., 1], first + step * np.arange(side) + 0 * crop[..., 1])
    tops, lefts = range(0, 46 - side, 8), range(0, width + 1 - side, 8)
    assert plain == {(top, left) for top in tops for left in lefts}
    assert mirrored == {(top, left + side) for top in tops for left in lefts if left + side < width}


@pytest.mark.parametrize("workers", [0, 1])
def test_a_square_comes_with_what_was_measured_of_its_photo(folders: Folders, workers: int) -> None:
    """The photos are of one gray each, so that each crop tells which it is of."""
    paired = replace(folders, cartoons=folders.photos, paired=True, grid=1, measure=_measured)
    for batch in take(paired, made(paired), 3, workers=workers):
        assert batch.frame is not None
        expected = [[size, gray] for size, gray in zip([40 * 30] * len(batch), grays(batch.photo), strict=True)]
        assert batch.frame.tolist() == expected
    assert all(batch.frame is None for batch in take(folders, made(folders), 1))


def _measured(photo: Pixels) -> Floats:
    """How many pixels it has, and its gray."""
    return np.array([photo[..., 0].size, photo[0, 0, 0]], np.float32)


@pytest.mark.parametrize("workers", [0, 1])
def test_where_nothing_can_be_read_any_more_the_run_stops_in_one_line(tmp_path: Path, workers: int) -> None:
    folders = _find(tmp_path, 4, 4)
    shutil.rmtree(tmp_path / "cartoons")
    with pytest.raises(TrainingError) as caught:
        take(folders, made(folders), 3, workers=workers)
    said = str(caught.value)
    assert said.startswith(f"4 pictures in a row of {tmp_path}/cartoons cannot be read; the last: {tmp_path}/cartoons/")
    assert said.endswith("cannot be read: No such file or directory") and "\n" not in said


def test_a_reader_is_not_ended_by_what_ends_a_group_of_processes(folders: Folders) -> None:
    before = set(psutil.Process().children())
    with contextlib.closing(
        batches(folders, made(folders), size=SIZE, batch_size=2, first_step=0, workers=1)
    ) as source:
        next(source)
        (reader,) = set(psutil.Process().children()) - before
        for which in (signal.SIGINT, signal.SIGTERM):
            reader.send_signal(which)
        for _ in range(6):
            next(source)
    assert reader not in psutil.Process().children()


@pytest.mark.parametrize("error", [ConnectionResetError, FileNotFoundError, EOFError])
def test_a_reader_that_ends_while_it_passes_something_on(
    folders: Folders, monkeypatch: pytest.MonkeyPatch, error: type[Exception]
) -> None:
    def broken(_: object) -> Iterator[object]:
        raise error
        yield

    monkeypatch.setattr("toonify.train.data.DataLoader.__iter__", broken)
    with pytest.raises(TrainingError, match=r"a process that reads pictures has ended, .* fewer --workers than 1"):
        take(folders, made(folders), 1, workers=1)


def test_reading_a_named_problem_does_not_open_the_file() -> None:
    with pytest.raises(ImageError, match="not a regular file"):
        read_picture(Found(Path("/dev/zero"), None, "not a regular file"))


# --- samples ---


def test_samples_are_spread_over_the_folder_and_leave_broken_ones_out(tmp_path: Path) -> None:
    folders = _find(tmp_path, 50, 4)
    samples = choose_samples(folders.photos.pictures, SIZE).photos
    assert samples.shape == (8, SIZE, SIZE, 3)
    assert [int(sample.mean()) for sample in samples] == [0, 7, 14, 21, 28, 35, 42, 49]
    assert choose_samples(folders.photos.pictures[:3], SIZE).photos.shape[0] == 3
    for path in pictures(tmp_path / "photos")[1:]:
        path.write_bytes(b"broken")
    assert choose_samples(folders.photos.pictures, SIZE).photos.shape[0] == 1


def test_whether_a_folder_has_the_same_pictures_is_told_by_their_names(tmp_path: Path) -> None:
    folders = _find(tmp_path, 3, 3)
    (tmp_path / "photos").rename(tmp_path / "moved")
    moved = find_folders(options(tmp_path / "moved", tmp_path / "cartoons"), smoothing=False, paired=False)
    assert moved.digests() == folders.digests()
    (tmp_path / "moved" / "001.png").rename(tmp_path / "moved" / "1.png")
    again = find_folders(options(tmp_path / "moved", tmp_path / "cartoons"), smoothing=False, paired=False)
    assert again.digests()["photos"] != folders.digests()["photos"]
    assert again.digests()["cartoons"] == folders.digests()["cartoons"]
