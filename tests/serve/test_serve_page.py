"""The page in a real browser: drop, choose, compare, save; with mouse and keys, in two windows, and when it fails."""

import io
import zipfile
from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import numpy as np
import pillow_heif
import pytest
from browsing import watched
from PIL import Image
from served import Served, serving

from toonify.cli import main
from toonify.serve.studio import Studio

playwright = pytest.importorskip("playwright.sync_api", reason="needs playwright: pip install playwright")

pytestmark = pytest.mark.long

PHOTOS = Path(__file__).parents[1] / "data/photos"
PHONE = {"viewport": {"width": 390, "height": 844}, "has_touch": True, "is_mobile": True}
TABLET = {"viewport": {"width": 768, "height": 1024}}
DESKTOP = {"viewport": {"width": 1440, "height": 900}}


@pytest.fixture(scope="module")
def studio() -> Studio:
    """The styles, opened once for all tests."""
    return Studio()


@pytest.fixture(scope="module")
def twelve(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twelve photos: HEIC, turned, CMYK, transparent, of 48 megapixels, with a long name; one is broken."""
    folder = tmp_path_factory.mktemp("twelve")
    pictures = [Image.open(path).convert("RGB").resize((320, 214)) for path in sorted(PHOTOS.glob("*.jpg"))]
    for number in range(6):
        pictures[number % 4].rotate(3 * number).save(folder / f"{number}.jpg", quality=92)
    pillow_heif.from_pillow(pictures[0]).save(folder / "phone.heic", quality=90)
    exif = Image.Exif()
    exif[0x0112] = 6
    pictures[1].save(folder / "turned.jpg", exif=exif, quality=92)
    pictures[2].convert("CMYK").save(folder / "print.jpg", quality=92)
    pictures[3].resize((8000, 6000)).save(folder / "large.jpg", quality=60)
    pictures[0].save(folder / "Donaudampfschifffahrtsgesellschaftskapitaensmuetze.png")
    (folder / "broken.jpg").write_bytes(b"this is no picture")
    return folder


@pytest.fixture
def server(studio: Studio) -> Iterator[Served]:
    with serving(studio=studio) as running:
        yield running


def opened(browser: Any, address: str, **options: Any) -> AbstractContextManager[Any]:
    """A page in a fresh profile; whatever it asks of others or complains about fails the test."""
    own = ("blob:", address.partition("?")[0])
    options |= {"accept_downloads": True, "timeout": 30_000, "overlooked": "status of 422"}
    return watched(browser, address, own=own, **options)


def expect(thing: Any) -> Any:
    return playwright.expect(thing)


def add(page: Any, paths: list[Path]) -> None:
    expect(page.locator("#empty")).to_be_visible()
    page.set_input_files("#files", paths)


def wait_for_previews(page: Any) -> None:
    """Every style and look of the photo in view is there, and the photo under the slider."""
    expect(page.locator(".option img[src]")).to_have_count(12)
    expect(page.locator("#after[src]")).to_be_visible()
    expect(page.locator("#viewer")).to_have_attribute("aria-busy", "false")


def saved(page: Any, button: str) -> tuple[str, bytes]:
    with page.expect_download(timeout=60_000) as waiting:
        page.click(button)
    return waiting.value.suggested_filename, Path(waiting.value.path()).read_bytes()


def test_twelve_photos_are_dropped_seen_and_saved(browser: Any, server: Served, twelve: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert main(["convert", str(twelve), "--style", "paprika", "--look", "bold", "-q", "-o", str(out)]) == 1
    with opened(browser, server.address, **DESKTOP) as page:
        add(page, sorted(twelve.iterdir()))
        expect(page.locator(".tile")).to_have_count(12)
        wait_for_previews(page)
        expect(page.locator(".tile .badge.bad")).to_have_text("cannot be read")
        page.get_by_role("button", name="large.jpg").click()
        expect(page.locator("#facts")).to_contain_text("8000 \u00d7 6000")
        wait_for_previews(page)
        page.get_by_role("radio", name="Paprika, bold").check(force=True)
        expect(page.locator("#tag-after")).to_have_text("Paprika, bold")
        page.get_by_role("button", name="turned.jpg").click()
        wait_for_previews(page)
        box = page.locator("#frame").bounding_box()
        assert box["height"] > box["width"]  # it stands upright
        expect(page.locator("#facts")).to_contain_text("214 \u00d7 320")
        name, data = saved(page, "#save")
        assert name == "turned_paprika-bold.jpg" and data == (out / "turned.jpg").read_bytes()
        expect(page.locator("#tray-title")).to_have_text("1 picture saved")
        name, data = saved(page, "#save-all")
        with zipfile.ZipFile(io.BytesIO(data)) as packed:
            drawn = {each.replace("_paprika-bold", ""): packed.read(each) for each in packed.namelist()}
        assert drawn == {path.name: path.read_bytes() for path in out.iterdir()}
        page.get_by_role("button", name="broken.jpg").click()
        expect(page.locator("#trouble")).to_contain_text("broken.jpg cannot be drawn")
        expect(page.locator("#save")).to_be_disabled()
        page.click("#trouble-remove")
        expect(page.locator(".tile")).to_have_count(11)


def test_the_slider_and_two_drawings_beside_each_other(browser: Any, server: Served, twelve: Path) -> None:
    with opened(browser, server.address, **DESKTOP) as page:
        add(page, [twelve / "0.jpg"])
        wait_for_previews(page)
        wipe = page.locator("#wipe")
        box = page.locator("#frame").bounding_box()
        page.mouse.move(box["x"] + box["width"] / 2, box["y"] + 60)
        page.mouse.down()
        page.mouse.move(box["x"] + box["width"] / 4, box["y"] + 80)
        page.mouse.up()
        expect(wipe).to_have_attribute("aria-valuenow", "25")
        wipe.press("ArrowRight")
        expect(wipe).to_have_attribute("aria-valuenow", "27")
        wipe.press("Home")
        assert "100 % drawing" in wipe.get_attribute("aria-valuetext")
        page.click("#hold")
        page.get_by_role("radio", name="Shinkai, bold").check(force=True)
        expect(page.locator("#tag-before")).to_have_text("Hayao, drawn")
        expect(page.locator("#tag-after")).to_have_text("Shinkai, bold")
        page.click("#beside")
        expect(wipe).to_be_hidden()
        left, right = page.locator("#before").bounding_box(), page.locator("#after").bounding_box()
        assert left["x"] + left["width"] <= right["x"] and abs(left["width"] - right["width"]) < 2


def test_at_a_hundred_percent_a_pixel_is_a_pixel(browser: Any, server: Served, twelve: Path, tmp_path: Path) -> None:
    photo = tmp_path / "wide.jpg"
    Image.open(twelve / "0.jpg").resize((2400, 1600)).save(photo)
    with opened(browser, server.address, **TABLET) as page:
        add(page, [photo])
        wait_for_previews(page)
        page.click("#actual")
        expect(page.locator("#viewer")).to_have_attribute("aria-busy", "false")
        assert page.locator("#frame").bounding_box()["width"] == 2400
        assert page.evaluate("() => document.getElementById('after').naturalWidth") == 2400
        before = page.evaluate("() => document.getElementById('view').scrollLeft")
        page.locator("#view").press("ArrowRight")
        page.wait_for_timeout(300)
        assert page.evaluate("() => document.getElementById('view').scrollLeft") > before
        page.click("#fit")
        assert page.locator("#frame").bounding_box()["width"] < 768


def test_every_control_shows_its_change_and_goes_back(browser: Any, server: Served, twelve: Path) -> None:
    with opened(browser, server.address, **DESKTOP) as page:
        add(page, [twelve / "1.jpg"])
        wait_for_previews(page)
        first = page.get_attribute("#after", "src")
        seen = {first}
        for slider in page.locator("#controls input[type=range]").all():
            middle = (float(slider.get_attribute("min")) + float(slider.get_attribute("max"))) / 2
            wanted = middle / 2 if abs(float(slider.input_value()) - middle) < 0.1 else middle
            before = page.get_attribute("#after", "src")
            slider.fill(str(wanted))
            expect(page.locator("#after")).not_to_have_attribute("src", before)
            seen.add(page.get_attribute("#after", "src"))
        before = page.get_attribute("#after", "src")
        page.select_option("#control-size", "512")  # larger than the photo: it is drawn as it is
        expect(page.locator("#viewer")).to_have_attribute("aria-busy", "false")
        assert len(seen) == 6
        page.click("#reset")
        expect(page.locator("#after")).to_have_attribute("src", first)  # it was kept
        expect(page.locator("#reset")).to_be_disabled()


def test_each_photo_keeps_its_own_choice(browser: Any, server: Served, twelve: Path) -> None:
    with opened(browser, server.address, **DESKTOP) as page:
        add(page, [twelve / "0.jpg", twelve / "1.jpg"])
        expect(page.locator(".tile")).to_have_count(2)
        page.get_by_role("button", name="0.jpg").click()
        wait_for_previews(page)
        page.get_by_role("radio", name="Hosoda, soft").check(force=True)
        page.get_by_role("button", name="1.jpg").click()
        wait_for_previews(page)
        page.get_by_role("radio", name="Shinkai, drawn").check(force=True)
        page.get_by_role("button", name="0.jpg").click()
        expect(page.get_by_role("radio", name="Hosoda, soft")).to_be_checked()
        _, data = saved(page, "#save-all")
        with zipfile.ZipFile(io.BytesIO(data)) as packed:
            assert sorted(packed.namelist()) == ["0_hosoda-soft.jpg", "1_shinkai.jpg"]
        page.click("#use-for-all")
        page.get_by_role("button", name="1.jpg").click()
        expect(page.get_by_role("radio", name="Hosoda, soft")).to_be_checked()


def test_what_is_cancelled_in_the_middle_can_be_tried_again(browser: Any, server: Served, tmp_path: Path) -> None:
    paths = []
    with Image.open(PHOTOS / "colosseum.jpg") as picture:
        for number in range(12):
            paths.append(tmp_path / f"{number}.jpg")
            picture.resize((1600, 900)).rotate(number).save(paths[-1])
    with opened(browser, server.address, **DESKTOP) as page:
        add(page, paths)
        wait_for_previews(page)
        page.click("#save-all")
        expect(page.locator("#tray-title")).to_contain_text("Drawing")
        page.click("#cancel")
        expect(page.locator("#tray-title")).to_contain_text("cancelled")
        page.click("#tray-more") if page.locator("#tray-list").is_hidden() else None
        again = page.get_by_role("button", name="Try ").last
        again.click()
        expect(page.locator("#tray-list li.done").last).to_be_visible()


def test_two_windows_at_once_show_the_same_photos(browser: Any, server: Served, twelve: Path) -> None:
    with opened(browser, server.address, **DESKTOP) as page:
        add(page, [twelve / "0.jpg"])
        wait_for_previews(page)
        other = page.context.new_page()
        other.goto(server.address.partition("?")[0])
        expect(other.locator(".tile")).to_have_count(1)
        other.set_input_files("#files", [twelve / "1.jpg"])
        expect(page.locator(".tile")).to_have_count(2)
        wait_for_previews(other)
        page.reload()
        expect(page.locator(".tile")).to_have_count(2)
    with opened(browser, server.address) as stranger:
        expect(stranger.locator("#empty")).to_be_visible()


def test_with_the_keyboard_alone(browser: Any, server: Served, twelve: Path) -> None:
    def reach(page: Any, selector: str) -> None:
        for _ in range(60):
            page.keyboard.press("Tab")
            if page.evaluate("(selector) => document.activeElement.matches(selector)", selector):
                return
        raise AssertionError(f"Tab does not reach {selector}")

    with opened(browser, server.address, **DESKTOP) as page:
        expect(page.locator("#empty")).to_be_visible()
        with page.expect_file_chooser() as chooser:
            reach(page, "#pick")
            page.keyboard.press("Enter")
        chooser.value.set_files([twelve / "0.jpg", twelve / "1.jpg"])
        expect(page.locator(".tile img")).to_have_count(2)
        wait_for_previews(page)
        name = page.inner_text("#name")
        reach(page, ".tile button")
        page.keyboard.press("ArrowDown" if name == "0.jpg" else "ArrowUp")
        expect(page.locator("#name")).not_to_have_text(name)
        wait_for_previews(page)
        reach(page, "#wipe")
        page.keyboard.press("ArrowRight")
        expect(page.locator("#wipe")).to_have_attribute("aria-valuenow", "52")
        reach(page, "input[name=style-look]")
        page.keyboard.press("ArrowRight")
        expect(page.locator("#tag-after")).to_have_text("Hayao, bold")
        reach(page, "#control-lines")
        page.keyboard.press("ArrowLeft")
        expect(page.locator("#reset")).to_be_enabled()
        reach(page, "#save")
        with page.expect_download() as waiting:
            page.keyboard.press("Enter")
        assert waiting.value.suggested_filename.endswith("_hayao-bold.jpg")


def test_files_and_pastes_come_in_by_hand(browser: Any, server: Served, twelve: Path) -> None:
    data = list((twelve / "0.jpg").read_bytes())
    script = """({ data, kind }) => {
        const transfer = new DataTransfer();
        transfer.items.add(new File([new Uint8Array(data)], `${kind}.jpg`, { type: "image/jpeg" }));
        const event = kind === "drop"
            ? new DragEvent("drop", { dataTransfer: transfer, bubbles: true, cancelable: true })
            : new ClipboardEvent("paste", { clipboardData: transfer, bubbles: true });
        document.body.dispatchEvent(event);
    }"""
    with opened(browser, server.address) as page:
        expect(page.locator("#empty")).to_be_visible()
        for kind in ("drop", "paste"):
            page.evaluate(script, {"data": data, "kind": kind})
            expect(page.get_by_role("button", name=f"{kind}.jpg", exact=True)).to_be_visible()
        wait_for_previews(page)


def test_a_folder_is_shown_with_what_is_drawn_and_written_beside(
    browser: Any, studio: Studio, twelve: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "Urlaub"
    folder.mkdir()
    for name in ("0.jpg", "1.jpg", "2.jpg"):
        (folder / name).write_bytes((twelve / name).read_bytes())
    drawn = tmp_path / "Urlaub_hayao"
    assert main(["convert", str(folder / "0.jpg"), "--style", "hayao", "-q", "-o", str(drawn / "0.jpg")]) == 0
    with serving(folder, studio=studio) as running, opened(browser, running.address, **DESKTOP) as page:
        expect(page.locator(".tile")).to_have_count(3)
        expect(page.get_by_role("button", name="0.jpg, drawn")).to_be_visible()
        expect(page.locator(".tile img.new")).to_have_count(1)
        page.get_by_role("checkbox", name="Select 1.jpg").check(force=True)
        expect(page.locator("#save-folder")).to_have_text("Write it to Urlaub_hayao")
        page.click("#save-folder")
        expect(page.locator("#tray-title")).to_have_text("1 picture written beside the folder")
        expect(page.get_by_role("button", name="1.jpg, drawn")).to_be_visible()
        page.get_by_role("radio", name="Hayao, bold").check(force=True)
        expect(page.get_by_role("button", name="1.jpg, drawn otherwise")).to_be_visible()
        page.click("#save-folder")
        expect(page.locator("#tray-list li")).to_contain_text("--look")
        page.get_by_role("button", name="Replace 1.jpg").click()
        expect(page.locator("#tray-title")).to_have_text("1 picture written beside the folder")
    assert sorted(path.name for path in drawn.iterdir()) == ["0.jpg", "1.jpg"]


def test_a_server_that_has_ended_is_said(browser: Any, studio: Studio, twelve: Path) -> None:
    context = browser.new_context()
    page = context.new_page()
    with serving(studio=studio) as running:
        page.goto(running.address)
        add(page, [twelve / "0.jpg"])
        wait_for_previews(page)
    expect(page.locator("#notice")).to_contain_text("cannot be reached")
    context.close()


@pytest.mark.parametrize("device", [PHONE, TABLET, DESKTOP], ids=["390", "768", "1440"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_nothing_is_cut_off_and_all_has_names(
    device: dict[str, Any], scheme: str, browser: Any, server: Served, twelve: Path
) -> None:
    """No sideways scrolling, a name for all that can be used, and enough contrast, at three widths, light and dark."""
    names = """() => [...document.querySelectorAll("button, a, input, select, [role]")]
        .filter((e) => e.offsetParent && !e.hidden)
        .filter((e) => !(e.getAttribute("aria-label") || e.getAttribute("aria-labelledby") || e.textContent.trim()
            || e.labels?.length || e.title))
        .map((e) => e.outerHTML)"""
    with opened(browser, server.address, color_scheme=scheme, **device) as page:
        assert page.evaluate("() => document.documentElement.scrollWidth") <= device["viewport"]["width"]
        add(page, [twelve / "0.jpg", twelve / "Donaudampfschifffahrtsgesellschaftskapitaensmuetze.png"])
        wait_for_previews(page)
        page.get_by_role("button", name="Donau").click()
        wait_for_previews(page)
        assert page.evaluate("() => document.documentElement.scrollWidth") <= device["viewport"]["width"]
        assert page.evaluate(names) == []
        pixels = np.asarray(Image.open(io.BytesIO(page.screenshot())).convert("L"))
        assert (np.median(pixels[:4]) > 200) == (scheme == "light")
        page.locator("#save").scroll_into_view_if_needed()
        expect(page.locator("#save")).to_be_in_viewport()
        page.click("#save")
        expect(page.locator("#tray-title")).to_have_text("1 picture saved")
