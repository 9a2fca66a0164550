"""The page of an evaluation in a real browser: the slider by mouse, finger and keyboard, and nothing on the wire."""

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from browsing import opened
from PIL import Image

from toonify.evaluate.contents import Sample
from toonify.evaluate.evaluation import Evaluation, Row
from toonify.evaluate.page import render_page
from toonify.jobs.find import Found

PHONE = {"viewport": {"width": 390, "height": 844}, "has_touch": True, "is_mobile": True}
LYING_PHONE = {"viewport": {"width": 844, "height": 390}, "has_touch": True, "is_mobile": True}
DESKTOP = {"viewport": {"width": 1440, "height": 900}}
COLORS = {"photo": (200, 40, 40), "first": (40, 160, 40), "second": (40, 40, 200)}


@pytest.fixture(scope="module")
def page_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A page of two styles and three photos, each of one color; the second photo stands upright."""
    folder = tmp_path_factory.mktemp("page")
    content = {"ssim": 0.5, "edges": 0.25, "lpips": 0.125}
    samples = []
    for number, size in enumerate(((300, 200), (200, 300), (300, 200))):
        paths = {}
        for name, color in COLORS.items():
            paths[name] = folder / f"{number}_{name}.png"
            Image.new("RGB", size, color).save(paths[name])
        photo = Found(paths.pop("photo"), folder)
        samples.append(Sample(photo, paths, dict.fromkeys(paths, content)))

    def row(name: str, kind: str, fid: float, failed: int | None = None) -> Row:
        figures = {"fid": fid, "kid": fid / 100, "kid_spread": 0.01, "kid_subset": 2, "fid_to_photos": 1.0, **content}
        return Row(name, kind, 3, 9, figures, 0.5, failed)

    evaluation = Evaluation(
        photos="photos",
        cartoons="anime",
        rows=(
            row("photos, untouched", "photos", 90),
            row("first", "candidate", 70.5, 0),
            row("second", "candidate", 60.25, 0),
            row("cartoons, half against half", "cartoons", 10),
        ),
        samples=tuple(samples),
        failed=(),
        protocol={"mode": "legacy", "weights": "f" * 64, "seed": 1, "toonify": "0"},
        runs_on={"Inception": None},
        remarks=(),
    )
    path = folder / "index.html"
    path.write_text(render_page(evaluation, show=12), encoding="utf-8")
    return path


def colors(page: Any) -> list[str]:
    """What is seen along a line through the large view, a third from its top, at 1, 3, ... 99 % of its width."""
    shot = Image.open(io.BytesIO(page.screenshot())).convert("RGB")
    box = page.locator("#stage").bounding_box()
    scale = shot.width / page.viewport_size["width"]
    y = (box["y"] + box["height"] / 3) * scale
    names = []
    for percent in range(1, 100, 2):
        pixel = np.array(shot.getpixel((int((box["x"] + box["width"] * percent / 100) * scale), int(y))), int)
        distances = {name: int(np.abs(pixel - color).sum()) for name, color in COLORS.items()}
        names.append(min(distances, key=distances.__getitem__))
    return names


def boundary(page: Any, style: str) -> int:
    """Where the photo ends and the picture begins, in percent, by what is on screen; it must begin but once."""
    seen = colors(page)
    assert set(seen) <= {"photo", style}
    count = seen.count("photo")
    assert seen == ["photo"] * count + [style] * (len(seen) - count)
    return 2 * count


def value(page: Any) -> float:
    return float(page.input_value("#mix"))


@pytest.mark.parametrize("options", [DESKTOP, PHONE, LYING_PHONE], ids=["desktop", "phone", "lying phone"])
def test_photo_and_styles_stand_side_by_side_and_nothing_hangs_over(
    browser: Any, page_file: Path, options: dict[str, Any]
) -> None:
    with opened(browser, page_file, **options) as page:
        assert page.evaluate("document.documentElement.scrollWidth") <= options["viewport"]["width"]
        plates = page.locator(".plate")
        assert plates.count() == 3
        for plate in plates.all():
            boxes = [image.bounding_box() for image in plate.locator("img").all()]
            assert len(boxes) == 3 and all(box["width"] > 100 for box in boxes)
            assert boxes[1]["y"] == boxes[2]["y"] and boxes[1]["x"] + boxes[1]["width"] <= boxes[2]["x"]
            assert boxes[1]["width"] == pytest.approx(boxes[2]["width"], abs=1)
        page.locator(".plate img").first.click()
        for name in ("#stage", "#mix", "#styles", "#close"):
            box = page.locator(name).bounding_box()
            assert box["x"] >= 0 and box["x"] + box["width"] <= options["viewport"]["width"]
            assert box["y"] >= 0 and box["y"] + box["height"] <= options["viewport"]["height"]
        ratio = page.locator("#stage").bounding_box()
        assert ratio["width"] / ratio["height"] == pytest.approx(1.5, rel=0.02)


def test_the_slider_by_mouse(browser: Any, page_file: Path) -> None:
    with opened(browser, page_file, **DESKTOP) as page:
        page.locator(".plate").nth(0).locator("figure button").nth(2).click()
        assert boundary(page, "second") == 50
        box = page.locator("#stage").bounding_box()
        page.mouse.move(box["x"] + box["width"] * 0.5, box["y"] + 40)
        page.mouse.down()
        page.mouse.move(box["x"] + box["width"] * 0.8, box["y"] + 90, steps=4)
        assert boundary(page, "second") == pytest.approx(80, abs=2) and value(page) == pytest.approx(80, abs=0.5)
        page.mouse.move(box["x"] + box["width"] + 200, box["y"] + 90)  # outside, and still held
        page.mouse.up()
        assert boundary(page, "second") == 100
        page.mouse.move(box["x"] + 30, box["y"] + 90)  # let go: it stays
        assert value(page) == 100
        page.mouse.click(box["x"] + box["width"] * 0.2, box["y"] + 90)
        assert boundary(page, "second") == pytest.approx(20, abs=2)
        slider = page.locator("#mix").bounding_box()
        page.mouse.click(slider["x"] + slider["width"] / 2, slider["y"] + slider["height"] / 2)
        assert boundary(page, "second") == pytest.approx(50, abs=2)


def test_by_keyboard_alone(browser: Any, page_file: Path) -> None:
    with opened(browser, page_file, **DESKTOP) as page:
        press = page.keyboard.press
        page.locator(".plate").nth(0).locator("figure button").nth(1).focus()
        press("Enter")
        assert page.evaluate("document.activeElement.id") == "mix"
        assert page.inner_text("#heading") == "0_photo.png in first"
        assert page.inner_text("#figures") == "SSIM 0.50, edges 0.25, LPIPS 0.12"
        press("ArrowRight")
        press("Shift+ArrowRight")
        assert value(page) == 62 and boundary(page, "first") == pytest.approx(62, abs=2)
        assert page.get_attribute("#mix", "aria-valuetext") == "62 % photo"
        press("End")
        assert boundary(page, "first") == 100
        press("Home")
        assert boundary(page, "first") == 0
        press("2")
        assert boundary(page, "second") == 0 and page.inner_text("#heading") == "0_photo.png in second"
        assert page.get_attribute("#styles button:nth-child(2)", "aria-pressed") == "true"
        press("3")  # there are two
        press("n")
        assert page.inner_text("#heading") == "1_photo.png in second"
        box = page.locator("#stage").bounding_box()
        assert box["width"] / box["height"] == pytest.approx(2 / 3, rel=0.02)
        press("p")
        press("p")
        assert page.inner_text("#heading") == "2_photo.png in second"
        page.focus("#close")  # arrows move the boundary from anywhere in the view
        press("ArrowRight")
        assert value(page) == 2
        press("Escape")
        assert not page.is_visible("#viewer")
        # The browser tells of a closed view in its own time, and then the focus comes back.
        opener = page.locator(".plate[data-name='2_photo.png'] [data-style='second']")
        for _ in range(100):
            if opener.evaluate("element => element === document.activeElement"):
                break
            page.wait_for_timeout(50)
        else:
            pytest.fail("the focus did not come back to where the view was opened")


def test_by_touch(browser: Any, page_file: Path) -> None:
    with opened(browser, page_file, **PHONE) as page:
        page.locator(".plate").nth(1).locator("figure button").nth(0).tap()  # the photo opens its first picture
        assert page.inner_text("#heading") == "1_photo.png in first"
        box = page.locator("#stage").bounding_box()
        page.touchscreen.tap(box["x"] + box["width"] * 0.3, box["y"] + 100)
        assert boundary(page, "first") == pytest.approx(30, abs=3)
        page.tap("#styles button:nth-child(2)")
        assert boundary(page, "second") == pytest.approx(30, abs=3)
        page.tap("#next")
        assert page.inner_text("#heading") == "2_photo.png in second"
        page.tap("#close")
        assert not page.is_visible("#viewer")


def test_the_table_can_be_read_by_all(browser: Any, page_file: Path) -> None:
    with opened(browser, page_file, **DESKTOP) as page:
        assert page.locator("th[scope=row]").all_inner_texts()[1:3] == ["first", "second"]
        cells = {row.locator("th").inner_text(): row.locator("td").all() for row in page.locator("tbody tr").all()}
        assert cells["second"][1].text_content() == "60.25 best" and cells["first"][1].text_content() == "70.50"
        heading = page.locator("thead th", has_text="KID").text_content()
        assert heading.endswith(", lower is better")
        assert page.locator("img:not([alt])").count() == 0
        page.keyboard.press("Tab")  # the table scrolls by keyboard where it is wider than the screen
        assert "scroll" in page.evaluate("document.activeElement.className")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_has_contrast_in_both_schemes(browser: Any, page_file: Path, scheme: str) -> None:
    """WCAG's 4.5 : 1 for all kinds of text on the page."""
    script = """(selector) => {
      const element = document.querySelector(selector);
      const parse = (text) => text.match(/[0-9.]+/g).map(Number);
      let ground = element;
      while (ground && (parse(getComputedStyle(ground).backgroundColor)[3] ?? 1) === 0) ground = ground.parentElement;
      return [parse(getComputedStyle(element).color), parse(getComputedStyle(ground).backgroundColor)];
    }"""

    def luminance(color: list[float]) -> float:
        parts = [c / 255 for c in color[:3]]
        linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
        return float(np.dot(linear, [0.2126, 0.7152, 0.0722]))

    with opened(browser, page_file, **DESKTOP, color_scheme=scheme) as page:
        page.locator(".plate img").first.click()
        selectors = ["h1", ".lede", "thead th", "tr.photos td", "td b", ".legend", "summary", "dd", "figcaption", "h3"]
        for selector in [*selectors, "footer p", "#heading", "#figures", "#styles button", ".keys"]:
            light, dark = sorted((luminance(color) for color in page.evaluate(script, selector)), reverse=True)
            assert (light + 0.05) / (dark + 0.05) >= 4.5, selector
