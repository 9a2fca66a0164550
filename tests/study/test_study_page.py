"""The survey's page in a real browser: mouse, keyboard, touch, reload, download, Send, and nothing else on the wire."""

import contextlib
import functools
import http.server
import json
import socket
import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec
import numpy as np
import pytest
from browsing import watched
from PIL import Image

from toonify.cli import main
from toonify.study.answers import Answers, parse_answers
from toonify.study.plan import Key
from toonify.study.serve import Collector, start_server

playwright = pytest.importorskip("playwright.sync_api", reason="needs playwright: pip install playwright")

PHONE = {"viewport": {"width": 390, "height": 844}, "has_touch": True, "is_mobile": True}
SMALL_PHONE = {"viewport": {"width": 320, "height": 568}, "has_touch": True, "is_mobile": True}
LYING_PHONE = {"viewport": {"width": 844, "height": 390}, "has_touch": True, "is_mobile": True}
DESKTOP = {"viewport": {"width": 1440, "height": 900}}


@pytest.fixture(scope="module")
def survey(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A survey of three candidates over five photos, upright ones and lying ones, with two repeats."""
    folder = tmp_path_factory.mktemp("survey")
    random = np.random.default_rng(0)
    for i in range(5):
        coarse = random.integers(0, 256, (6, 8, 3), dtype=np.uint8)
        photo = Image.fromarray(coarse).resize((160, 120) if i % 2 else (120, 180), Image.Resampling.BICUBIC)
        for number, name in enumerate(["photos", "frames", "one", "two", "three"]):
            (folder / name).mkdir(exist_ok=True)
            shown = photo.resize((200, 90)) if name == "frames" else photo
            Image.fromarray(np.roll(np.asarray(shown), number, axis=2)).save(folder / name / f"{i}.png")
    arguments = ["--photos", folder / "photos", "--reference", folder / "frames", "--output", folder / "survey"]
    styles = [str(folder / name) for name in ("one", "two", "three")]
    assert main(["study", "build", *styles, *map(str, arguments), "--repeats", "2", "--seed", "3"]) == 0
    return folder / "survey"


@pytest.fixture(scope="module")
def key(survey: Path) -> Key:
    return msgspec.json.decode(survey.with_name("survey.key.json").read_bytes(), type=Key)


def opened(browser: Any, address: str, **options: Any) -> AbstractContextManager[Any]:
    """A page in a fresh profile; whatever it asks of the network or complains about fails the test."""
    own = ("data:", "blob:", address.rsplit("/", 1)[0])
    return watched(browser, address, own=own, accept_downloads=True, **options)


def visit(browser: Any, survey: Path, **options: Any) -> Any:
    return opened(browser, (survey / "index.html").as_uri(), **options)


@pytest.fixture
def published(survey: Path) -> Iterator[str]:
    """The address of the survey on a web server.

    What a page from a file stores, Chromium has been seen to forget at a reload, in long runs of many tests.
    """

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_: Any) -> None:
            pass

    handler = functools.partial(Quiet, directory=str(survey))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/index.html"
        server.shutdown()
        thread.join()


def position_of(page: Any, key: Key, candidate: int) -> int:
    """Where the page shows the pictures of a candidate: the key and what is really on screen."""
    shown = [image.get_attribute("src").partition(",")[2] for image in page.locator("#candidates .picture img").all()]
    for number, question in enumerate(key.questions):
        block = page.locator(f"#q{number}p{question.makers.index(candidate)}").evaluate("e => e.textContent")
        if block in shown:
            return shown.index(block)
    raise AssertionError("the page shows no picture of the candidate")


def wait_for(page: Any, number: int, length: int = 7) -> None:
    playwright.expect(page.locator("#number")).to_have_text(f"{number} of {length}")
    playwright.expect(page.locator("#candidates .picture").first).to_be_visible()


def reload(page: Any, text: str) -> None:
    """Reload the page until it shows a text: a busy browser may open it with the state of a moment ago."""
    for _ in range(5):
        page.reload()
        with contextlib.suppress(AssertionError):
            return playwright.expect(page.locator("main:not([hidden])")).to_contain_text(text, timeout=3000)
    kept = page.evaluate("JSON.stringify(localStorage)")
    raise AssertionError(f"not {text!r}, but {page.inner_text('main:not([hidden])')!r}, with {kept}")


def download(page: Any) -> tuple[str, bytes]:
    with page.expect_download() as waiting:
        page.click("#download")
    return waiting.value.suggested_filename, Path(waiting.value.path()).read_bytes()


def votes(key: Key, answers: Answers) -> list[int]:
    return [key.questions[answer.question].makers[answer.choice] for answer in answers.answers]


def test_with_the_mouse_a_reload_in_the_middle_and_a_tally(
    browser: Any, published: str, survey: Path, key: Key, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with opened(browser, published, **DESKTOP) as page:
        assert "sent anywhere" in page.inner_text("#privacy")
        page.click("#start")
        for number in range(1, 8):
            wait_for(page, number)
            if number == 4:
                reload(page, "3 of 7 are answered")
                assert page.inner_text("#start") == "Go on"
                page.click("#start")
                wait_for(page, 4)
                page.click("#back")
                wait_for(page, 3)
                assert page.locator("#candidates [aria-pressed=true]").count() == 1
                page.click("#next")
                wait_for(page, 4)
            assert page.get_attribute("#next", "aria-disabled") == "true"
            page.click("#next", force=True)
            wait_for(page, number)
            page.locator("#candidates .picture").nth(position_of(page, key, candidate=1)).click()
            page.click("#next")
        assert page.inner_text("#thanks") == "Almost done"
        name, data = download(page)
        assert page.inner_text("#thanks") == "Thank you" and name in page.inner_text("#outcome")
        answers = parse_answers(data, key.plan)
        assert name == f"answers-{key.plan.survey[:8]}-{answers.token[:8]}.json" and len(data) < 1000
        assert votes(key, answers) == [1] * 7
        assert all(answer.milliseconds < 20_000 for answer in answers.answers)
        assert download(page) == (name, data)
        reload(page, "Thank you")
        assert not page.is_visible("#review")
        assert page.input_value("#text") == data.decode()
    (tmp_path / name).write_bytes(data)
    (tmp_path / "copy.json").write_bytes(data)
    assert main(["study", "tally", str(tmp_path), "--key", str(survey.with_name("survey.key.json"))]) == 0
    said = capsys.readouterr().out
    assert "1 person, 5 questions, 5 votes" in said and "100% of the repeats" in said
    assert "| two       |     5 |" in said


def test_with_the_keyboard_alone(browser: Any, survey: Path, key: Key) -> None:
    with visit(browser, survey, **DESKTOP) as page:
        press = page.keyboard.press
        press("Enter")
        wanted = []
        for number in range(1, 8):
            wait_for(page, number)
            press("Enter")  # nothing is chosen yet
            press("ArrowRight")
            press("4")  # there are three
            wait_for(page, number)
            assert page.locator("#candidates [aria-pressed=true]").count() == 0
            press("3")
            press("2" if number % 2 else "1")
            chosen = page.locator("#candidates [aria-pressed=true] img")
            assert chosen.count() == 1 and chosen.get_attribute("alt") == f"Picture {2 if number % 2 else 1}"
            assert page.inner_text("#live") == f"Picture {2 if number % 2 else 1} chosen"
            wanted.append(1 if number % 2 else 0)
            press("Enter" if number % 3 else "ArrowRight")
        playwright.expect(page.locator("#end")).to_be_visible()
        page.click("#review")
        wait_for(page, 1)
        for number in range(1, 3):
            press("ArrowRight")
            wait_for(page, number + 1)
        press("Backspace")
        wait_for(page, 2)
        press("3")
        wanted[1] = 2
        press("ArrowLeft")
        wait_for(page, 1)
        # With Tab to a picture, Enter chooses it, and goes on when it is chosen.
        page.locator("#candidates .picture").nth(2).focus()
        press("Enter")
        wait_for(page, 1)
        wanted[0] = 2
        press("Enter")
        wait_for(page, 2)
        for number in range(3, 8):
            press("Enter")
            wait_for(page, number)
        press("Enter")
        answers = parse_answers(download(page)[1], key.plan)
    form = key.plan.forms[answers.form]
    assert [s.order.index(a.choice) for s, a in zip(form, answers.answers, strict=True)] == wanted


def test_the_viewer_shows_any_picture_beside_the_reference(browser: Any, survey: Path) -> None:
    with visit(browser, survey, **DESKTOP) as page:
        page.click("#start")
        wait_for(page, 1)
        sources = [image.get_attribute("src") for image in page.locator("#candidates img").all()]
        page.keyboard.press("e")
        assert page.get_attribute("#large-reference", "src") == page.get_attribute("#reference img", "src")
        for press, expected in [("ArrowRight", 1), ("ArrowRight", 2), ("ArrowRight", 0), ("ArrowLeft", 2), ("2", 1)]:
            page.keyboard.press(press)
            assert page.get_attribute("#large-picture", "src") == sources[expected]
        wait_for(page, 1)
        page.keyboard.press("Enter")
        assert not page.is_visible("#viewer")
        assert page.locator("#candidates .picture").nth(1).get_attribute("aria-pressed") == "true"
        page.locator("#candidates .picture").nth(1).click()
        assert page.is_visible("#viewer") and "your choice" in page.inner_text("#caption")
        small, large = (page.locator(s).bounding_box() for s in ("#candidates img >> nth=1", "#large-picture"))
        assert large["width"] * large["height"] > 1.2 * small["width"] * small["height"]
        page.keyboard.press("Escape")
        page.click("#reference")
        page.click("#close")
        assert not page.is_visible("#viewer")


@pytest.mark.parametrize("screen", [PHONE, SMALL_PHONE, LYING_PHONE, DESKTOP], ids=["390", "320", "lying", "desktop"])
def test_all_candidates_are_in_sight_and_of_one_size(browser: Any, survey: Path, screen: dict[str, Any]) -> None:
    with visit(browser, survey, **screen) as page:
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        page.click("#start")
        for number in range(1, 8):
            wait_for(page, number)
            boxes = [picture.bounding_box() for picture in page.locator("#candidates .picture").all()]
            reference = page.locator("#reference").bounding_box()
            assert len({(round(box["width"], 1), round(box["height"], 1)) for box in boxes}) == 1
            stage = page.locator("#stage").bounding_box()
            for box in [*boxes, reference]:
                assert box["x"] >= 0 and box["x"] + box["width"] <= screen["viewport"]["width"]
                assert box["y"] >= stage["y"] and box["y"] + box["height"] <= stage["y"] + stage["height"]
            area = boxes[0]["width"] * boxes[0]["height"]
            assert area > 10_000 and area / 3 < reference["width"] * reference["height"] < 2.1 * area
            press = page.locator("#candidates .picture").first
            press.tap() if "has_touch" in screen else press.click()
            page.click("#next")
        assert page.is_visible("#download")


def test_the_page_cannot_reach_the_network_even_if_it_would(browser: Any, survey: Path) -> None:
    context = browser.new_context()
    page = context.new_page()
    page.goto((survey / "index.html").as_uri())
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.setblocking(False)
        address = f"http://127.0.0.1:{listener.getsockname()[1]}/"
        fetch = """(address) => Promise.race([
          fetch(address, {mode: 'no-cors'}).then(() => 'reached', () => 'refused'),
          new Promise((done) => setTimeout(done, 2000, 'waits for an answer')),
        ])"""
        assert page.evaluate(fetch, address) == "refused"
        load = """([tag, src]) => new Promise((done) => {
          const element = document.createElement(tag);
          element.onload = () => done('reached');
          element.onerror = () => done('refused');
          setTimeout(done, 2000, 'waits for an answer');
          element.src = src;
          document.body.append(element);
        })"""
        assert page.evaluate(load, ["img", address]) == page.evaluate(load, ["script", address]) == "refused"
        with pytest.raises(BlockingIOError):  # nobody has called
            listener.accept()
    page.evaluate(
        "document.body.append(Object.assign(document.createElement('script'), {text: 'window.smuggled = 1'}))"
    )
    assert page.evaluate("window.smuggled") is None
    context.close()


BLOCKED = "Object.defineProperty(window, 'localStorage', {get() { throw new DOMException('no', 'SecurityError'); }})"
FULL = "Storage.prototype.setItem = () => { throw new DOMException('full', 'QuotaExceededError'); }"


@pytest.mark.parametrize("script", [BLOCKED, FULL], ids=["blocked", "full"])
def test_without_storage_it_says_so_and_works(browser: Any, survey: Path, key: Key, script: str) -> None:
    context = browser.new_context()
    context.add_init_script(script)
    page = context.new_page()
    page.goto((survey / "index.html").as_uri())
    assert page.is_visible("#forgetful")
    page.keyboard.press("Enter")
    for number in range(1, 8):
        wait_for(page, number)
        page.keyboard.press("1")
        page.keyboard.press("Enter")
    assert len(parse_answers(download(page)[1], key.plan).answers) == 7
    context.close()


@pytest.mark.parametrize(
    "kept",
    ["null", "7", "{", '{"token": "x"}', '{"token":"%s","at":99,"choices":[],"times":[],"finished":""}' % ("0" * 32)],
)
def test_a_spoilt_store_starts_anew(browser: Any, survey: Path, key: Key, kept: str) -> None:
    with visit(browser, survey) as page:
        page.evaluate("([name, text]) => localStorage.setItem(name, text)", [f"toonify-study-{key.plan.survey}", kept])
        page.reload()
        assert page.inner_text("#start") == "Start" and not page.is_visible("#forgetful")
        page.click("#start")
        wait_for(page, 1)


def test_somebody_else_can_start_anew(browser: Any, published: str, key: Key) -> None:
    stored = f"JSON.parse(localStorage.getItem('toonify-study-{key.plan.survey}')).token"
    with opened(browser, published) as page:
        page.click("#start")
        page.keyboard.press("1")
        page.keyboard.press("Enter")
        wait_for(page, 2)
        first = page.evaluate(stored)
        reload(page, "1 of 7 are answered")
        page.once("dialog", lambda dialog: dialog.dismiss())
        page.click("#restart")
        assert page.evaluate(stored) == first
        page.once("dialog", lambda dialog: dialog.accept())
        page.click("#restart")
        assert page.evaluate(stored) != first
        page.click("#start")
        wait_for(page, 1)
        assert page.locator("#candidates [aria-pressed=true]").count() == 0


@pytest.fixture
def collector(survey: Path, tmp_path: Path) -> Iterator[SimpleNamespace]:
    with start_server(Collector(survey, tmp_path / "answers", lambda line: None), "127.0.0.1", 0) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield SimpleNamespace(address=server.address, folder=tmp_path / "answers", server=server)
        server.shutdown()
        thread.join()


def answer_all(page: Any) -> None:
    page.click("#start")
    for number in range(1, 8):
        wait_for(page, number)
        page.keyboard.press("1")
        page.keyboard.press("Enter")
    playwright.expect(page.locator("#end")).to_be_visible()


def test_served_answers_are_sent_and_the_next_person_follows(
    browser: Any, collector: SimpleNamespace, key: Key, capsys: pytest.CaptureFixture[str], survey: Path
) -> None:
    with opened(browser, collector.address, **PHONE) as page:
        for _ in range(2):
            assert "when you press Send" in page.inner_text("#privacy")
            answer_all(page)
            assert not page.is_visible("#another")
            page.click("#send")
            playwright.expect(page.locator("#outcome")).to_contain_text("have arrived")
            assert not page.is_visible("#send")
            reload(page, "have arrived")
            page.click("#another")
    stored = sorted(collector.folder.iterdir())
    assert len({parse_answers(path.read_bytes(), key.plan).token for path in stored}) == 2
    assert main(["study", "tally", str(collector.folder), "--key", str(survey.with_name("survey.key.json"))]) == 0
    assert "2 people" in capsys.readouterr().out


def test_answers_that_cannot_be_sent_can_be_downloaded(
    browser: Any, collector: SimpleNamespace, key: Key, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any, **__: Any) -> None:
        raise OSError(28, "No space left on device")

    context = browser.new_context()
    page = context.new_page()
    page.goto(collector.address)
    answer_all(page)
    with monkeypatch.context() as patch:
        patch.setattr("toonify.study.serve.write_atomically", full)
        page.click("#send")
        playwright.expect(page.locator("#outcome")).to_contain_text("No space left")
    context.set_offline(True)
    page.click("#send")
    playwright.expect(page.locator("#outcome")).to_contain_text("cannot be reached")
    data = download(page)[1]
    context.set_offline(False)
    page.click("#send")
    playwright.expect(page.locator("#outcome")).to_contain_text("have arrived")
    (stored,) = collector.folder.iterdir()
    assert json.loads(stored.read_bytes()) == json.loads(data)
    context.close()
