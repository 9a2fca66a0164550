"""Networks in 8-bit integers: what they draw, where they are taken, how they are refused, what pictures say of them."""

import logging
import shutil
from pathlib import Path

import msgspec
import numpy as np
import onnx
import pytest
from onnx import numpy_helper
from PIL import Image
from samples import PHOTOS

from toonify import load_style
from toonify.cli import main
from toonify.drawing import choose_plan, drawer, precision, run
from toonify.drawing.identity import former_identity, identity
from toonify.engines import cpu
from toonify.errors import DeviceError, StyleError, ToonifyError, UsageError
from toonify.graphs.format import CHECK_KEY, read_onnx_metadata
from toonify.images import read_photo
from toonify.networks.check_photo import drawing_from_text
from toonify.networks.open import open_generator, open_int8
from toonify.pixels.arrays import psnr
from toonify.pixels.resize import fit_long_side, resize
from toonify.styles.card import Int8, StyleVariant
from toonify.styles.find import find_style, shipped_folder, shipped_names

LITE = {"variant": "lite", "device": "cpu", "faces": "off"}


def pixels(path: Path) -> np.ndarray:
    with path.open("rb") as file:
        photo = read_photo(file).pixels
    height, width = photo.shape[:2]
    return resize(photo, fit_long_side(height, width, 768)) if max(height, width) > 768 else photo


def check_text(style: StyleVariant) -> str:
    """What the file of integers says that float32 draws."""
    assert style.int8 is not None
    return read_onnx_metadata(style.int8)[CHECK_KEY]


def agreement(style: StyleVariant, photos: list[Path]) -> list[float]:
    """Of the drawings in integers to those in float32, in dB."""
    exact, quick = open_generator(style, device="cpu"), open_int8(style)
    drawings = [[run.draw(pixels(path), each, style.variant, padding=16) for each in (exact, quick)] for path in photos]
    return [psnr(one, other, peak=1) for one, other in drawings]


@pytest.fixture
def with_dot_products(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(drawer, "has_dot_products", lambda: True)
    monkeypatch.setattr(drawer, "choose_device", lambda *_: "cpu")


@pytest.fixture
def photos(tmp_path: Path, noise: np.ndarray) -> Path:
    folder = tmp_path / "photos"
    folder.mkdir()
    Image.fromarray(noise).save(folder / "a.png")
    return folder


def with_own_file(folder: Path, check: str | None = None) -> Path:
    """A card with shinkai's two networks, the integers' unpinned, with another drawing to check them by; its path."""
    shinkai = find_style("shinkai")
    lite = shinkai.card.variants["lite"]
    shutil.copy(shinkai.folder / lite.weights.file, folder)
    model = onnx.load(shinkai.folder / lite.int8.file)
    for entry in [*model.metadata_props]:
        if entry.key == CHECK_KEY:
            model.metadata_props.remove(entry)
    if check is not None:
        model.metadata_props.add(key=CHECK_KEY, value=check)
    onnx.save(model, folder / "other.onnx")
    lite = msgspec.structs.replace(lite, int8=Int8("other.onnx"))
    card = msgspec.structs.replace(shinkai.card, variants={"lite": lite})
    (folder / "card.json").write_bytes(msgspec.json.encode(card))
    return folder / "card.json"


# What ships


@pytest.mark.parametrize("name", shipped_names())
def test_a_shipped_network_in_integers_draws_what_float32_draws(name: str) -> None:
    style = find_style(name).variant("lite")
    assert style.int8.stat().st_size <= 1_500_000
    assert min(agreement(style, sorted(PHOTOS.glob("*.jpg")))) >= 45


@pytest.mark.parametrize("name", shipped_names())
def test_it_does_so_on_photos_that_nothing_was_measured_on(name: str, test_data: Path) -> None:
    found = agreement(find_style(name).variant("lite"), sorted((test_data / "photos" / "eval").glob("*.jpg"))[::6])
    assert np.mean(found) >= 45


@pytest.mark.parametrize("name", shipped_names())
def test_its_weights_overflow_no_kernel(name: str) -> None:
    """Processors without VNNI add two products of an unsigned and a signed byte in 16 bits, and saturate."""
    model = onnx.load(find_style(name).variant("lite").int8)
    kinds = [node.op_type for node in model.graph.node]
    assert kinds.count("Conv") == 20 and kinds.count("InstanceNormalization") == 1
    weights = [
        numpy_helper.to_array(tensor).astype(int)
        for tensor in model.graph.initializer
        if tensor.data_type == onnx.TensorProto.INT8 and len(tensor.dims) == 4
    ]
    assert len(weights) == 16  # all but the first two, which see the photo's own pixels, and the last two
    assert all(2 * 255 * np.abs(each).max() <= np.iinfo(np.int16).max for each in weights)


# Where it draws


def test_auto_takes_integers_where_the_processor_suits_and_the_first_line_says_so(
    photos: Path, with_dot_products: None, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def first_line(*options: str) -> str:
        command = ["convert", str(photos), "-s", "shinkai", "--faces", "off", "--variant", "lite"]
        assert main([*command, "--device", "cpu", "--overwrite", *options]) == 0
        return capsys.readouterr().err.splitlines()[0]

    assert first_line().endswith("CPUExecutionProvider, int8")
    assert first_line("--tile", "64").endswith("CPUExecutionProvider, int8")
    assert first_line("--precision", "fp32").endswith("CPUExecutionProvider, float32")
    monkeypatch.setattr(drawer, "has_dot_products", lambda: False)
    assert first_line().endswith("CPUExecutionProvider, float32")
    assert first_line("--precision", "int8").endswith("CPUExecutionProvider, int8")


def test_with_a_gpu_auto_leaves_the_cpu_alone(with_dot_products: None, monkeypatch: pytest.MonkeyPatch) -> None:
    style = find_style("shinkai").variant("lite")
    asked = {"style": style, "backend": "onnx", "device": "auto"}
    assert drawer._wants_int8(**asked, precision="auto")
    monkeypatch.setattr(drawer, "choose_device", lambda *_: "cuda")
    assert not drawer._wants_int8(**asked, precision="auto")
    assert drawer._wants_int8(**asked, precision="int8")
    assert not drawer._wants_int8(**asked | {"backend": "openvino"}, precision="auto")


def test_opencv_knows_the_instructions_by_their_names(monkeypatch: pytest.MonkeyPatch) -> None:
    import cv2

    numbers = {cv2.getHardwareFeatureName(number): number for number in range(256)}
    asked: list[int] = []
    monkeypatch.setattr(cv2, "checkHardwareSupport", lambda number: asked.append(number) or False)
    assert not cpu.has_dot_products.__wrapped__()
    assert asked == [numbers[name] for name in ("AVX512VNNI", "AVX_VNNI", "NEON_DOTPROD")]
    monkeypatch.setattr(cv2, "checkHardwareSupport", lambda number: number == numbers["AVX_VNNI"])
    assert cpu.has_dot_products.__wrapped__()


def test_integers_that_draw_otherwise_give_way_to_float32_with_a_word(
    tmp_path: Path, noise: np.ndarray, with_dot_products: None, caplog: pytest.LogCaptureFixture
) -> None:
    hayao = check_text(find_style("hayao").variant("lite"))
    card = with_own_file(tmp_path, hayao)
    said = r"in 8-bit integers shinkai \(lite\) draws the check photo \d\d dB from float32 on this processor"
    with pytest.raises(DeviceError, match=said):
        load_style(str(card), **LITE, precision="int8")
    with caplog.at_level(logging.WARNING):
        style = load_style(str(card), **LITE)
    assert style.engine.provider == "CPUExecutionProvider, float32" and style.plan.drawn_in == "fp32"
    assert "shinkai (lite) falls back to float32: " in caplog.text
    assert np.array_equal(style(noise), load_style("shinkai", **LITE, precision="fp32")(noise))


@pytest.mark.parametrize(("check", "said"), [(None, "says nothing to check it by"), ("x", "is damaged")])
def test_integers_that_cannot_be_checked_are_refused(check: str | None, said: str, tmp_path: Path) -> None:
    card = with_own_file(tmp_path, check)
    for tile in ("off", 64):
        with pytest.raises(StyleError, match=said):
            load_style(str(card), **LITE, precision="int8", tile=tile)


def test_what_it_is_checked_by_is_float32s_drawing() -> None:
    style = find_style("paprika").variant("lite")
    from toonify.networks.check_photo import check_pixels

    exact = run.draw(check_pixels(style.variant), open_generator(style, device="cpu"), style.variant, padding=0)
    kept = drawing_from_text(check_text(style))
    assert np.abs(kept - np.clip(exact, 0, 1)).max() <= 0.501 / 255


# What cannot be


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"variant": "original"}, r"--precision int8: shinkai \(original\) has no network in 8-bit integers; drop it"),
        ({"device": "cuda"}, r"8-bit integers are for CPUs: to draw shinkai \(lite\) in them, type --device cpu"),
        ({"backend": "torch"}, "--precision int8 is for --backend onnx; drop it, or --backend torch"),
        ({"backend": "openvino"}, "--precision int8 is for --backend onnx; drop it, or --backend openvino"),
    ],
)
def test_integers_where_there_are_none_are_an_error_of_one_line(options: dict[str, str], said: str) -> None:
    with pytest.raises(ToonifyError, match=said) as error:
        load_style("shinkai", **{"variant": "lite", "precision": "int8", **options})
    assert "\n" not in str(error.value)


def test_a_file_of_integers_is_a_style_of_its_own(noise: np.ndarray) -> None:
    path = str(shipped_folder() / "shinkai-lite-int8.onnx")
    alone, beside = load_style(path, device="cpu", faces="off"), load_style("shinkai", **LITE, precision="int8")
    assert alone.engine.provider.endswith(", int8")
    assert np.array_equal(alone(noise), beside(noise))
    with pytest.raises(UsageError, match=r"--precision fp32: shinkai \(lite\) is in 8-bit integers alone; drop it"):
        load_style(path, device="cpu", precision="fp32")
    with pytest.raises(DeviceError, match="8-bit integers are for CPUs"):
        load_style(path, device="cuda")


# What pictures say


def test_the_precision_is_part_of_what_a_picture_was_made_from() -> None:
    plan = choose_plan("shinkai", variant="lite", faces="off")
    exact, quick, either = (plan.in_precision(each) for each in ("fp32", "int8", "auto"))
    assert identity(exact) == identity(plan) != identity(quick)  # pictures from before the integers stay known
    assert quick.style.int8_digest in identity(quick) and former_identity(quick) is None
    assert [identity(each) for each in either.as_good()] == [identity(exact), identity(quick)]
    assert quick.as_good() == [quick] and exact.as_good() == [exact]


def test_with_auto_a_picture_in_either_is_done_and_a_named_precision_keeps_the_other(
    photos: Path, monkeypatch: pytest.MonkeyPatch, with_dot_products: None, capsys: pytest.CaptureFixture[str]
) -> None:
    def summary(*options: str) -> str:
        command = ["convert", str(photos), "-s", "hayao", "--faces", "off", "--variant", "lite", "--device", "cpu"]
        assert main([*command, *options]) == 0
        return capsys.readouterr().err

    for first, other in (("fp32", "int8"), ("int8", "fp32")):
        assert "1 drawn" in summary("--precision", first, "--overwrite")
        assert "0 drawn, 1 skipped" in summary("--precision", first)
        for suits in (True, False):
            monkeypatch.setattr(drawer, "has_dot_products", lambda suits=suits: suits)
            assert "0 drawn, 1 skipped" in summary()
        said = summary("--precision", other)
        assert "0 drawn, 1 kept" in said and f"(--precision {first} there, {other} now)" in said


# Tiles


@pytest.mark.parametrize("name", ["hayao", "shinkai"])
def test_tiles_in_integers_show_no_seams(name: str) -> None:
    """Rounding to integers makes noise of any difference: they are as near to the whole as noise is, and no less near
    where tiles meet."""
    style = find_style(name).variant("lite")
    photo = np.tile(pixels(PHOTOS / "singapore.jpg"), (2, 1, 1))
    whole = run.draw(photo, open_int8(style), style.variant, padding=0)
    tiled = run.draw_in_tiles(photo, precision.open_int8_in_tiles(style), style.variant, padding=0, tile=256)
    assert psnr(whole, tiled, peak=1) >= 50
    error = np.abs(whole - tiled.astype(np.float32)).mean(axis=(1, 2))
    seams = [row for edge in range(256, len(error), 256) for row in (edge - 1, edge)]
    assert error[seams].mean() <= 1.5 * error.mean()
