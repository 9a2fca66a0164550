"""What pictures were made with, as digests that last: under other names of classes, and from earlier versions."""

import io
import itertools
import json
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from PIL import ExifTags, Image

from toonify import load_style
from toonify.convert.local import SaveOptions, convert, processing_notes
from toonify.distill.targets import Pair, Task, _notes
from toonify.drawing import DrawingPlan, DrawOptions, draw_options
from toonify.drawing.identity import NEUTRAL_NETWORK, NEUTRAL_OPTIONS, NOT_ENCODED, _plain, former_identity, identity
from toonify.jobs.note import is_made_by
from toonify.jobs.plan import Job
from toonify.styles.card import Card, FileWeights, HubWeights, LocatedStyle, Training, Variant

ANY = Path("-")
TRAINING = Training(
    method="distill",
    options={"epochs": 9, "id": "it's", "lr": 1e-05, "flag": True, "none": None, "list": [1, "a"]},
    steps=100,
    epochs=1,
    seed=0,
    pictures={"photos": 1015},
    versions={"toonify": "0.1.0"},
    hours=0.011,
    scores={"psnr": 30.363669316872777},
    teacher="shinkai (original)",
)


def on_file(digit: str, **others: Any) -> Variant:
    return Variant(weights=FileWeights("x.pth", "sha256:" + digit * 64), **others)


EVERYTHING = on_file(
    "b",
    architecture="lite",
    config={"width": 64, "contrast": True, "eps": 1e-5, "pad": "reflect"},
    channels="bgr",
    value_range=(0.0, 255.0),
    multiple=8,
    minimum=16,
    padding=16,
    size=768,
    bytes_per_pixel=210,
    keep_color=0.25,
    saturation=1.2,
    training=TRAINING,
)
ON_HUB = HubWeights(repository="a/b", file="c.pth", fingerprint="float32:" + "a" * 64, megabytes=44.6)
PADDED = on_file("d", architecture="pix2pix", multiple=256, minimum=256, padding=8, size=512, keep_color=1.0)
SMALL = on_file("c", architecture="lite", size=512, training=TRAINING)
OPTIONS = {
    "size": 640,
    "output_size": 1200,
    "keep_color": 0.5,
    "saturation": 0.9,
    "strength": 0.8,
    "detail": 0.2,
}
# Variant, options, format, how it is saved; the digests that toonify 0.1.0 wrote into a picture of "a photo" by
# `convert`, and into a pair drawn at 400 pixels by `distill`.
FORMER = {
    "plain": (
        Variant(weights=ON_HUB, architecture="cartoongan"),
        {},
        ("jpg", SaveOptions()),
        ("55b305a7702ea2f7", "af2a93465d7b2b55"),
    ),
    "all": (
        EVERYTHING,
        {},
        ("png", SaveOptions(quality=80, strip_metadata=True)),
        ("ac05f03d6d167070", "91b26fb768a8ca36"),
    ),
    "options": (SMALL, OPTIONS, ("webp", SaveOptions(quality=70)), ("87bb29255d71ebcd", "aaf48e936545a724")),
    "raw": (
        PADDED,
        {"raw": True, "output_size": "drawn"},
        ("tiff", SaveOptions()),
        ("6e198dd4bf33ce66", "b0c443cb7c7bc5f7"),
    ),
}


def plan_of(variant: Variant, **options: Any) -> DrawingPlan:
    card = Card(id="cat", title="", license="MIT", attribution="", source="", variants={"original": variant})
    drawn = draw_options(variant, **options)
    return DrawingPlan(LocatedStyle(card, ANY).variant(), drawn)


@pytest.mark.parametrize("case", FORMER)
def test_pictures_of_the_first_version_are_known(case: str) -> None:
    variant, options, (suffix, save), (by_convert, by_distill) = FORMER[case]
    plan = plan_of(variant, **options)
    file = io.BytesIO(b"a photo")
    drawn = processing_notes(file, Job(ANY, ANY, suffix), plan, save)
    assert is_made_by(f"toonify 0.1.0 cat/original recipe:{by_convert}", drawn)
    assert not drawn[0].endswith(by_convert), "the new encoding is the one to write"
    pair = _notes(file, Task(Job(ANY, ANY, "png"), ANY, Pair("a", "b", 400)), plan)
    assert is_made_by(f"toonify 0.1.0 distill recipe:{by_distill}", pair)
    assert not is_made_by(f"toonify 0.1.0 distill recipe:{by_convert}", pair)


def test_the_encoding_is_what_it_was_when_it_was_introduced() -> None:
    assert identity(plan_of(EVERYTHING, output_size="drawn", strength=0.5)) == (
        '{"encoding":1,"network":{"architecture":"lite","channels":"bgr",'
        '"config":{"contrast":true,"eps":1e-05,"pad":"reflect","width":64},"minimum":16,"multiple":8,'
        '"value_range":[0.0,255.0]},"options":{"keep_color":0.25,"output_size":"drawn","padding":16,"saturation":1.2,'
        f'"size":768,"strength":0.5}},"style":"cat","weights":"sha256:{"b" * 64}"}}'
    )


def test_what_is_neutral_is_left_out_so_that_a_new_field_changes_nothing() -> None:
    told = json.loads(identity(plan_of(Variant(weights=ON_HUB, architecture="cartoongan"))))
    assert told["network"] == {"architecture": "cartoongan"} and told["options"] == {}


def test_an_option_may_be_a_struct_that_grows(monkeypatch: pytest.MonkeyPatch) -> None:
    class Inner(msgspec.Struct):
        width: float = 1.0
        taper: float = 0.0

    class Outer(msgspec.Struct):
        lines: Inner
        steps: int = 7

    monkeypatch.setattr("toonify.drawing.identity.NEUTRAL_INSIDE", {"look.lines.taper": 0.0})
    assert _plain(Outer(Inner()), "look") == {"lines": {"width": 1.0}, "steps": 7}
    assert _plain(Outer(Inner(taper=0.5)), "look") == {"lines": {"width": 1.0, "taper": 0.5}, "steps": 7}


def test_every_field_has_its_place_in_the_encoding() -> None:
    """A field that fails here: give it its neutral value in the table, or say that it does not show in a picture."""
    assert {field.name for field in fields(DrawOptions)} == set(NEUTRAL_OPTIONS)
    network = {field.name for field in msgspec.structs.fields(Variant)}
    assert network == set(NEUTRAL_NETWORK) | NOT_ENCODED and not set(NEUTRAL_NETWORK) & NOT_ENCODED


def test_pictures_that_differ_are_told_apart() -> None:
    changes = {
        "size": 300,
        "output_size": 77,
        "keep_color": 0.3,
        "saturation": 2.0,
        "strength": 0.9,
        "detail": 0.1,
        "padding": 3,
    }
    plan = plan_of(SMALL)
    plans = [plan, *(replace(plan, options=replace(plan.options, **{name: value})) for name, value in changes.items())]
    networks = [{"channels": "bgr"}, {"value_range": (0.0, 1.0)}, {"multiple": 4}, {"minimum": 4}, {"config": {"a": 1}}]
    plans += [plan_of(msgspec.structs.replace(SMALL, **change), size=512) for change in networks]
    plans.append(plan_of(on_file("e", architecture="lite", size=512)))
    for one, other in itertools.combinations(plans, 2):
        assert identity(one) != identity(other)
        assert former_identity(one) != former_identity(other)


def test_what_does_not_show_in_a_picture_is_not_told() -> None:
    untold = msgspec.structs.replace(SMALL, training=None, bytes_per_pixel=99)
    assert identity(plan_of(untold)) == identity(plan_of(SMALL))
    assert identity(plan_of(SMALL, keep_color=1)) == identity(plan_of(SMALL, keep_color=1.0))


@pytest.mark.parametrize("version", ["0.1.0", "0.2.0", "12.0.1"])
def test_a_finished_picture_is_known_whatever_version_made_it(
    version: str, noise: np.ndarray, tiny_onnx: Path, tmp_path: Path
) -> None:
    photo = tmp_path / "photo.png"
    Image.fromarray(noise).save(photo)
    style = load_style(str(tiny_onnx), device="cpu")
    job = Job(photo, tmp_path / "cat.png", "png")
    (outcome,) = convert([job], style, SaveOptions())
    assert outcome.result == "drawn"
    with photo.open("rb") as file:
        new, former = processing_notes(file, job, style.plan, SaveOptions())
    for note in (new, former):
        picture = Image.open(job.target)
        exif = picture.getexif()
        words = note.split(" ")
        exif[ExifTags.Base.ProcessingSoftware] = " ".join([words[0], version, *words[2:]])
        picture.load()
        picture.save(job.target, exif=exif)
        (outcome,) = convert([job], style, SaveOptions())
        assert outcome.result == "skipped", outcome.reason
        exif[ExifTags.Base.ProcessingSoftware] = note[:-1] + ("0" if note[-1] != "0" else "1")
        picture.save(job.target, exif=exif)
        (outcome,) = convert([job], style, SaveOptions())
        assert outcome.result == "kept"
