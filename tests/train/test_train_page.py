"""The page of a run: curves against closed forms, names that would do harm, and the whole in a real browser."""

import base64
import hashlib
import itertools
import math
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from browsing import opened
from hypothesis import example, given
from hypothesis import strategies as st
from PIL import Image

from toonify.pages.axes import figure, tick_step, tick_text, ticks
from toonify.pages.line_chart import LARGE, SMALL, Course, Curve, chart, smoothed, thin
from toonify.train.page import render_page
from toonify.train.record import Entry, Losses, Note, Scores

PHONE = {"viewport": {"width": 390, "height": 844}, "has_touch": True, "is_mobile": True}
DESKTOP = {"viewport": {"width": 1440, "height": 900}}
HOSTILE = "\"><script>alert(1)</script><b>'&amp;\n\u202e夏"
VOID = {"meta", "link", "input", "img", "br"}


def losses(step: int, /, *, epoch: int = 1, phase: str = "adversarial", **named: float | None) -> Losses:
    return Losses(step, epoch, phase, step * 2.0, 8.0, 2e-4, named)


class Checked(HTMLParser):
    """A page, refused unless every element is closed in its turn and every id is given once."""

    def __init__(self, page: str) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[tuple[str, str]] = []
        assert page.startswith("<!DOCTYPE html>\n")
        self.feed(page)
        self.close()
        assert self.open == []
        ids = [attributes["id"] for _, attributes in self.elements if "id" in attributes]
        assert len(set(ids)) == len(ids)
        assert {attributes["for"] for _, attributes in self.elements if "for" in attributes} <= set(ids)
        assert not any(
            name.startswith("on") or name == "style" for _, attributes in self.elements for name in attributes
        )

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert len(dict(attrs)) == len(attrs)
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert "svg" in self.open
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and data.strip():
            self.texts.append((self.open[-1], data.strip()))

    def of(self, tag: str, kind: str = "") -> list[dict[str, str | None]]:
        """The attributes of the elements of a tag and a class."""
        found = [attributes for name, attributes in self.elements if name == tag]
        return [attributes for attributes in found if not kind or kind in (attributes.get("class") or "").split(" ")]

    def words(self, tag: str) -> list[str]:
        """What is written in the elements of a tag."""
        return [text for name, text in self.texts if name == tag]


def page_of(*entries: Entry, **options: Any) -> Checked:
    return Checked(render_page("runs/mine", options.get("facts", ()), entries, options.get("grids", ())))


def points(path: str | None) -> list[np.ndarray]:
    """The lines that a path draws, each as N x 2."""
    assert path is not None and re.fullmatch(r"(M-?[\d.]+ -?[\d.]+h0(L-?[\d.]+ -?[\d.]+)*)*", path)
    lines = [line.replace("h0", "").split("L") for line in path.split("M")[1:]]
    return [np.array([point.split(" ") for point in line], float) for line in lines]


def straight(line: np.ndarray, start: tuple[float, float], end: tuple[float, float]) -> bool:
    """Whether a line leads straight from one point to another, up to the digits of coordinates."""
    across = (line[:, 0] - start[0]) / (end[0] - start[0])
    down = start[1] + across * (end[1] - start[1])
    ends = np.array([line[0] - start, line[-1] - end])
    return bool(np.abs(line[:, 1] - down).max() <= 0.15 and np.abs(ends).max() <= 0.75)


def y_ticks(page: Checked) -> list[str]:
    """What is written at the first chart's y axis."""
    texts = zip(page.words("text"), page.of("text"), strict=True)
    return list(itertools.takewhile(lambda text: text != "step", (text for text, at in texts if at["class"] == "y")))


# Closed forms


@pytest.mark.parametrize("count", [20, 600, 5000])
def test_a_straight_line_of_losses_is_drawn_straight(count):
    page = page_of(*(losses(10 * n, content=1 + n / count) for n in range(count + 1)))
    (raw,) = points(page.of("path", "raw")[0]["d"])
    assert len(raw) <= 601
    assert straight(raw, (LARGE.left, LARGE.floor), (LARGE.width - LARGE.right, LARGE.top))
    (line,) = points(page.of("path", "line")[0]["d"])
    inner = line[len(line) // 4 : -len(line) // 4]  # at its ends it has but one side to average over
    down = np.interp(inner[:, 0], raw[:, 0], raw[:, 1])
    assert np.abs(inner[:, 1] - down).max() < 1  # it does not lag behind
    assert np.diff(line[:, 1]).max() <= 0.11


def test_decades_are_drawn_straight_on_a_logarithmic_axis():
    page = page_of(*(losses(n, content=10 ** (n / 100 - 2)) for n in range(401)))
    (raw,) = points(page.of("path", "raw")[0]["d"])
    assert straight(raw, (LARGE.left, LARGE.floor), (LARGE.width - LARGE.right, LARGE.top))
    assert y_ticks(page) == ["0.01", "0.1", "1", "10", "100"]


@pytest.mark.parametrize(("least", "is_log"), [(1.1, False), (0.9, True), (0.0, False), (-0.5, False)])
def test_the_axis_is_logarithmic_above_two_decades_only(least, is_log):
    page = page_of(losses(0, content=100.0), losses(50, content=50.0), losses(100, content=least))
    (raw,) = points(page.of("path", "raw")[0]["d"])
    share = (LARGE.floor - raw[1, 1]) / (LARGE.floor - raw[0, 1])
    assert (share > 0.8) == is_log


def test_only_losses_are_drawn_on_a_logarithmic_axis():
    page = page_of(Scores(1, 1, {"kid": 1.0, "kid_spread": 1 - 1e-9}), Scores(2, 1, {"kid": 0.5, "kid_spread": 0.1}))
    assert y_ticks(page) == ["0", "0.5", "1.0", "1.5", "2.0"]


@example(1.0, 400_001.0, 2)
@given(st.floats(-1e6, 1e6), st.floats(1e-6, 1e6), st.integers(2, 8))
def test_ticks_are_round_and_few_and_cover_the_range(low, width, count):
    step = tick_step(low, low + width, count)
    assert float(f"{step:e}".split("e")[0]) in (1, 2, 5)
    wider = [ticks(low, low + width, factor * step) for factor in (2, 2.5)]
    assert width / step <= count * (1 + 1e-6) or [] in wider
    assert width / step > count / 2.6
    found = ticks(low, low + width, step)
    assert np.allclose(np.diff(found), step, rtol=1e-3)
    assert all(math.isclose(tick / step, round(tick / step), abs_tol=1e-6) for tick in found)
    assert all(low - step * 1e-6 <= tick <= low + width + step * 1e-6 for tick in found)
    assert low + step > found[0] - step * 1e-6 and found[-1] > low + width - step * (1 + 1e-6)
    texts = [tick_text(tick, step) for tick in found]
    assert len(set(texts)) == len(texts)


@pytest.mark.parametrize(
    ("value", "step", "text"),
    [
        (0.30000000000000004, 0.1, "0.3"),
        (0.5, 0.05, "0.50"),
        (-0.0, 1, "0"),
        (1e-17, 0.2, "0"),
        (-2.0, 1, "\N{MINUS SIGN}2"),
        (1500, 500, "1,500"),
        (20000, 5000, "20k"),
        (2.5e6, 5e5, "2.5M"),
        (100_000.5, 0.5, "100,000.5"),
        (2e-4, 1e-4, "2e-4"),
        (-1.5e-4, 5e-5, "\N{MINUS SIGN}1.5e-4"),
        (3e12, 1e12, "3e12"),
    ],
)
def test_what_is_written_at_ticks(value, step, text):
    assert tick_text(value, step) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, "0"),
        (0.41234, "0.412"),
        (310.24, "310"),
        (12345.6, "12,346"),
        (-1.5, "\N{MINUS SIGN}1.50"),
        (2e-4, "2e-4"),
        (1.234e9, "1.23e9"),
    ],
)
def test_figures_have_the_digits_that_count(value, text):
    assert figure(value) == text


def test_the_smoothed_curve_of_a_constant_is_the_constant_and_gaps_stay_gaps():
    values = np.full(300, 7.25)
    values[[0, 50, 51, 299]] = np.nan
    assert np.allclose(smoothed(values), values, equal_nan=True)
    noise = np.random.default_rng(0).normal(0, 1, 600)
    assert 0.1 < smoothed(noise).std() < 0.4 and abs(smoothed(noise).mean()) < 0.1


def test_long_curves_are_thinned_to_means_of_equal_stretches():
    steps = np.arange(1, 6001, dtype=float)
    values = np.sin(steps) + steps
    values[::7] = np.nan
    thinned = thin(Curve("x", steps, values), 6000)
    assert len(thinned.values) == 600
    for number in (0, 1, 300, 598):
        inside = (steps * 600 // 6000 == number) & ~np.isnan(values)
        assert thinned.values[number] == pytest.approx(values[inside].mean())
        assert thinned.steps[number] == pytest.approx(steps[inside].mean())
    values[1000:3000] = np.inf  # a stretch with nothing in it stays one gap, in its place
    gap = thin(Curve("x", steps, values), 6000)
    assert np.isnan(gap.values[101:299]).all() and np.isfinite(gap.values[301:]).all()
    assert (np.diff(gap.steps) > 0).all()


# What is on the page


def test_charts_are_of_losses_that_belong_together():
    named = dict.fromkeys(
        ["content", "discriminator", "generator_adversarial", "generator_cycle", "gradient_penalty"], 1.0
    )
    page = page_of(losses(1, **named), losses(2, discriminator_edges=0.5, **named))
    assert page.words("h3") == [
        "content",
        "discriminator",
        "generator",
        "gradient penalty",
        "learning rate",
        "images per second",
    ]
    swatches = [attributes["class"] for attributes in page.of("li", "swatch")]
    assert swatches == ["swatch c1", "swatch c2"] * 2
    assert [text for text in page.words("li") if text != "not"] == ["discriminator", "edges", "adversarial", "cycle"]
    assert page.words("b") == ["1.00", "1.00", "0.500", "1.00", "1.00", "1.00", "2e-4", "8.00"]


def test_no_chart_has_more_curves_than_there_are_colors():
    page = page_of(*(losses(step, **{f"d_{n}": 1.0 for n in range(13)}) for step in (1, 2)))
    assert page.words("h3")[:3] == ["d", "d", "d 12"]
    assert {attributes["class"] for attributes in page.of("path", "line")} == {f"line c{n}" for n in range(1, 7)}


def test_phases_are_shaded_and_named_and_epochs_marked():
    entries = [
        losses(step, epoch=(step - 1) // 100 + 1, phase="initialization" if step <= 500 else "adversarial", content=1.0)
        for step in range(10, 1001, 10)
    ]
    page = page_of(*entries)
    (phase,) = page.of("rect", "phase")
    assert (float(phase["x"] or 0), float(phase["width"] or 0)) == (LARGE.left, LARGE.inner / 2)
    names = [(text, attributes) for text, attributes in zip(page.words("text"), page.of("text"), strict=True)]
    assert [text for text, attributes in names if attributes["class"] == "name"] == ["initialization", "adversarial"]
    below = {
        text: float(attributes["x"] or 0)
        for text, attributes in names
        if attributes["class"] == "x" and float(attributes["y"] or 0) > LARGE.floor + 30
    }
    assert below == {str(n): pytest.approx(LARGE.left + (n - 1) / 10 * LARGE.inner, abs=0.1) for n in (2, 4, 6, 8, 10)}


def test_one_phase_is_not_shaded():
    assert page_of(losses(1, content=1.0), losses(2, content=1.0)).of("rect") == []


def test_a_loss_of_a_later_phase_starts_there():
    page = page_of(losses(0, content=1.0), losses(50, generator=1.0), losses(100, generator=2.0))
    (line,) = points(page.of("path", "raw")[1]["d"])
    assert line[0, 0] == pytest.approx(LARGE.left + LARGE.inner / 2)


@pytest.mark.parametrize("bad", [None, math.nan, math.inf, -math.inf, 1e300])
def test_what_is_not_finite_leaves_a_gap_and_is_counted(bad):
    page = page_of(*(losses(n, content=bad if n in (3, 4) else 1.0, dead=bad) for n in range(10)))
    raw, nothing = page.of("path", "raw")[:2]
    assert [len(line) for line in points(raw["d"])] == [3, 5] and points(nothing["d"]) == []
    assert page.words("span")[:2] == ["2 not finite", "10 not finite"]


def test_the_last_entry_may_be_the_one_that_broke():
    page = page_of(losses(1, content=0.5), losses(2, content=math.nan), Losses(3, 1, "x", None, math.inf, None, {}))
    assert "0.500" in page.words("b") and page.words("p")[0] == "Step 3, epoch 1."


@pytest.mark.parametrize("value", [0.0, 5e-324, 1e-310, 3e38, -3e38, 7.0])
def test_one_value_of_any_size_is_a_point(value):
    page = page_of(losses(5, content=value))
    for path in (page.of("path", "raw")[0], page.of("path", "line")[0]):
        ((point,),) = points(path["d"])
        assert LARGE.top <= point[1] <= LARGE.floor and point[0] == LARGE.width - LARGE.right


def test_values_of_all_sizes_in_one_curve():
    page = page_of(*(losses(n, content=value) for n, value in enumerate([3e38, 1e-37, 5e-324, -3e38, 0.0])))
    (line,) = points(page.of("path", "raw")[0]["d"])
    assert (line[:, 1] >= LARGE.top).all() and (line[:, 1] <= LARGE.floor).all()


def test_evaluations_show_the_best_and_the_spread():
    fids = [300.0, 120.5, 130.25]
    entries = [Scores(100 * n, n, {"fid": fid, "kid": 0.1, "kid_spread": 0.02}) for n, fid in enumerate(fids, 1)]
    page = page_of(*entries)
    assert page.words("h3") == ["FID", "KID"]
    ring, _ = page.of("circle", "best")
    (line,) = points(page.of("path", "line")[0]["d"])
    assert [float(ring["cx"] or 0), float(ring["cy"] or 0)] == line[1].tolist()
    dots = points(page.of("path", "dots")[0]["d"])
    assert [dot.tolist() for dot in dots] == [[point] for point in line.tolist()]
    (band,) = page.of("polygon", "band")
    outline = np.array([point.split(",") for point in (band["points"] or "").split(" ")], float)
    (middle,) = points(page.of("path", "line")[1]["d"])
    assert outline[:3, 0].tolist() == middle[:, 0].tolist()
    assert np.allclose((outline[:3, 1] + outline[:2:-1, 1]) / 2, middle[:, 1], atol=0.1)
    assert "120.50" in page.words("b") and "at step 200" in page.words("span")
    assert page.words("td")[:2] == ["3", "130.25"] and "0.1000 ± 0.0200" in page.words("b")


def test_an_evaluation_that_was_made_again_counts_once():
    page = page_of(Scores(100, 1, {"fid": 50.0}), Scores(200, 2, {"fid": 70.0}), Scores(100, 1, {"fid": 90.0}))
    assert "50.00" not in page.words("b")
    assert page.words("th") == ["step", "epoch", "FID", "200", "100"]


def test_evaluations_may_fail_or_be_of_another_kind():
    page = page_of(Scores(100, 1, {"fid": math.nan, "kid_spread": 0.1}), Scores(200, 1, {"fid": None, "ssim": 0.5}))
    assert page.of("circle", "best") == [] and "none" in page.words("td")
    assert page.words("h3") == ["FID", "kid spread", "SSIM"]


def test_the_order_of_entries_does_not_matter():
    entries = [losses(n, content=n / 10) for n in range(30)] + [Scores(5, 1, {"fid": 3.0}), Note(7, "x")]
    assert render_page("x", [], entries[::-1], []) == render_page("x", [], entries, [])


def test_a_run_that_has_just_begun():
    page = page_of(facts=[("State", "running")])
    assert page.words("p")[0] == "Nothing has been recorded yet." and page.of("section") == []
    assert page.words("dt") == ["State"] and page.words("dd") == ["running"]
    assert page_of(losses(0, content=1.0)).of("svg") and page_of(Scores(0, 0, {"fid": 1.0})).of("svg")


def test_the_head_says_how_long_it_took():
    for seconds, text in ((12.4, "12 s"), (61, "1 min"), (3599.9, "1 h 0 min"), (86_400 * 2 + 7200, "2 d 2 h")):
        page = page_of(Losses(1234, 5, "x", seconds, 1.0, 1.0, {}))
        assert page.words("p")[0] == f"Step 1,234, epoch 5, {text} of training."


def test_notes_are_told_last_first_and_folded_where_there_are_many():
    page = page_of(*(Note(n, f"note {n}") for n in range(1000)))
    notes = [text for text in page.words("span") if text.startswith("note")]
    assert notes == [f"note {n}" for n in range(999, 799, -1)]
    assert page.words("summary") == ["192 earlier ones; metrics.jsonl has all 1,000"]
    assert page_of(Note(1, "x")).words("summary") == []


def test_a_long_run_makes_no_large_page():
    names = ["content", "generator", "discriminator", "discriminator_cartoon", "discriminator_edges"]
    numbers = np.random.default_rng(0).lognormal(0, 1, (200_000, len(names))).tolist()
    entries = [
        losses(10 * n, epoch=n // 1000, phase=str(n > 9999), **dict(zip(names, row, strict=True)))
        for n, row in enumerate(numbers)
    ]
    text = render_page("runs/mine", [], entries, [])
    assert len(text) < 300_000
    assert all(len(line) <= 600 for path in Checked(text).of("path", "raw") for line in points(path["d"]))


# Sample sheets


@pytest.fixture
def sheets(tmp_path: Path) -> list[tuple[int, Path]]:
    """Fifty small sheets, each of its own gray."""
    found = []
    for number in range(1, 51):
        path = tmp_path / f"{number}.png"
        Image.new("RGB", (64, 32), (5 * number,) * 3).save(path)
        found.append((100 * number, path))
    return found


def jpegs(page: Checked) -> list[bytes]:
    return [base64.b64decode((image["src"] or "").removeprefix("data:image/jpeg;base64,")) for image in page.of("img")]


def test_sheets_are_spread_over_the_run_the_newest_first(sheets):
    page = page_of(losses(5000, epoch=9, content=1.0), grids=sheets)
    steps = [int(text.replace(",", "")) for text in page.words("label")]
    assert len(steps) == 24 and steps == sorted(steps, reverse=True) and (steps[0], steps[-1]) == (5000, 100)
    assert set(np.diff(steps)) == {-200, -300}
    assert [("checked" in attributes) for attributes in page.of("input")] == [True] + [False] * 23
    assert "24 of 50 sheets, evenly spread over the run." in page.words("p")[2]
    assert "Step 5,000, epoch 9" in page.words("figcaption")
    assert len(jpegs(page)) == 48 and all(data.startswith(b"\xff\xd8") for data in jpegs(page))


def test_one_sheet_needs_no_strip(sheets):
    page = page_of(grids=sheets[:1])
    assert page.of("label") == [] and len(page.of("img")) == 1


def test_sheets_that_are_gone_or_damaged_are_left_out(sheets):
    sheets[1][1].unlink()
    sheets[2][1].write_bytes(b"no picture")
    page = page_of(grids=sheets[:4])
    assert page.words("label") == ["400", "100"]
    assert page.words("p")[1].endswith("2 of the files cannot be read any more.")
    assert "1 of the files" in page_of(grids=sheets[1:2]).words("p")[1]


def test_sheets_of_noise_keep_the_page_small(tmp_path):
    path = tmp_path / "noise.png"
    noise = np.random.default_rng(0).integers(0, 256, (1040, 1040, 3), dtype=np.uint8)
    Image.fromarray(noise).save(path, compress_level=0)
    newest, _, other, _ = jpegs(page_of(grids=[(1, path), (2, path)]))
    assert len(newest) <= 700_000 and len(other) <= 190_000


# Safety


def test_names_do_no_harm(tmp_path):
    folder = tmp_path / "a\udcff"
    path = tmp_path / ('"><script>alert(1)<!--'.replace("/", "") + ".png")
    Image.new("RGB", (8, 8)).save(path)
    entries: list[Any] = [
        losses(1, phase=HOSTILE, **{HOSTILE: 1.0}),
        losses(2, phase="x", **{HOSTILE: 1.0}),
        Note(1, HOSTILE),
    ]
    text = render_page(HOSTILE, [(HOSTILE, f"{folder} {HOSTILE}")], [*entries, Scores(1, 1, {HOSTILE: 1})], [(1, path)])
    text.encode()
    page = Checked(text)
    assert page.of("script") == [] and page.of("b") and "<!--" not in text
    assert not any("alert" in name for name, _ in page.elements)
    shown = "\"><script>alert(1)</script><b>'&amp;??夏"
    assert page.words("h1") == [shown] and page.words("dt") == [shown] and shown in page.words("span")


def test_the_policy_lets_the_style_in_and_nothing_else(sheets):
    for grids in (sheets[:0], sheets[:2]):
        text = render_page("x", [], [losses(1, content=1.0)], grids)
        page = Checked(text)
        (policy,) = [found["content"] for found in page.of("meta") if "http-equiv" in found]
        (style,) = re.findall(r"<style>(.*?)</style>", text, re.DOTALL)
        digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
        assert policy == (
            f"default-src 'none'; img-src data:; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
        )
        addresses = [found[name] for _, found in page.elements for name in ("src", "href", "action") if name in found]
        assert all((address or "").startswith("data:") for address in addresses)
        assert "url(" not in style and "@import" not in style and page.of("script") == []


def test_a_chart_alone():
    curve = Curve("x", np.array([0.0, 10]), np.array([1.0, 2]))
    svg = chart([curve], Course(10, [(1, 0)], [("a", 0), ("b", 5)]), "x & y", frame=SMALL)
    assert 'aria-label="x &amp; y"' in svg and "epoch" not in svg and "phase" not in svg and "dots" not in svg


# In a browser


@pytest.fixture
def page_file(tmp_path: Path, sheets: list[tuple[int, Path]]) -> Path:
    """A page with all that one can have."""
    entries: list[Entry] = [
        losses(
            step,
            epoch=step // 500 + 1,
            phase="initialization" if step < 1000 else "adversarial",
            content=1.0,
            generator=math.nan if step == 2000 else 2.0,
            discriminator_a=1.0,
            discriminator_b=2.0,
        )
        for step in range(0, 5001, 50)
    ]
    entries += [Scores(step, 1, {"fid": 100.0, "kid": 0.1, "kid_spread": 0.01}) for step in (1000, 2000)]
    entries += [Note(step, f"a_very_long_name_without_any_space/{'x' * 100}.png: left out") for step in range(20)]
    path = tmp_path / "index.html"
    facts = [("State", "running"), ("Options", "x" * 300)]
    path.write_text(render_page("runs/" + "long-name" * 12, facts, entries, sheets), encoding="utf-8")
    return path


@pytest.mark.parametrize("options", [DESKTOP, PHONE], ids=["desktop", "phone"])
def test_nothing_hangs_over(browser: Any, page_file: Path, options: dict[str, Any]) -> None:
    width = options["viewport"]["width"]
    with opened(browser, page_file, **options) as page:
        for details in page.locator("summary").all():
            details.click()
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        charts = page.locator(".charts:not(.small) svg").all()
        assert len(charts) == 5
        for box in (chart.bounding_box() for chart in charts):
            assert box["x"] >= 0 and box["x"] + box["width"] <= width and box["width"] > 300
        hues = {line.evaluate("e => getComputedStyle(e).stroke") for line in page.locator(".line").all()}
        assert len(hues) == 2 and "none" not in hues  # c1 and c2: the style is in force
        large = page.locator(".sheet figure img").first.bounding_box()
        thumbnail = page.locator(".sheet label img").last.bounding_box()
        assert large["width"] > 4 * thumbnail["width"] and thumbnail["width"] > 50
        assert large["width"] / large["height"] == pytest.approx(2, rel=0.02)


def seen_sheet(page: Any) -> str:
    (caption,) = [found for found in page.locator(".sheet figcaption").all() if found.is_visible()]
    return str(caption.inner_text())


def test_sheets_are_turned_by_keyboard_and_by_finger(browser: Any, page_file: Path) -> None:
    with opened(browser, page_file, **DESKTOP) as page:
        assert seen_sheet(page).startswith("Step 5,000")
        page.locator(".sheet input").first.focus()
        page.keyboard.press("ArrowRight")
        assert seen_sheet(page).startswith("Step 4,800")
        page.keyboard.press("ArrowLeft")
        page.keyboard.press("ArrowLeft")  # and round
        assert seen_sheet(page).startswith("Step 100")
    with opened(browser, page_file, **PHONE) as page:
        page.locator(".sheet label").nth(23).tap()
        assert seen_sheet(page).startswith("Step 100")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_has_contrast_in_both_schemes(browser: Any, page_file: Path, scheme: str) -> None:
    """WCAG's 4.5 : 1 for all kinds of text on the page, and 3 : 1 for curves."""

    def luminance(color: str) -> float:
        parts = [float(c) / 255 for c in re.findall(r"[\d.]+", color)[:3]]
        linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
        return float(np.dot(linear, [0.2126, 0.7152, 0.0722]))

    with opened(browser, page_file, **DESKTOP, color_scheme=scheme) as page:
        ground = luminance(page.evaluate("getComputedStyle(document.body).backgroundColor"))
        shade = luminance(page.locator(".phase").first.evaluate("e => getComputedStyle(e).fill"))
        texts = [
            "h1",
            ".lede",
            "dt",
            "dd",
            "h3",
            ".chart li",
            ".warning",
            "summary",
            "figcaption span",
            "label",
            "li .step",
        ]
        for selector, key, on, least in [
            *((selector, "color", ground, 4.5) for selector in [*texts, "li .step"]),
            ("svg text", "fill", ground, 4.5),
            (".line.c1", "stroke", shade, 3),
            (".line.c2", "stroke", shade, 3),
        ]:
            color = page.locator(selector).first.evaluate(f"e => getComputedStyle(e).{key}")
            light, dark = sorted((luminance(color), on), reverse=True)
            assert (light + 0.05) / (dark + 0.05) >= least, selector
