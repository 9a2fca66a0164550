"""The server of the page: whose photos are whose, the same pictures as `convert`, and what it refuses."""

import functools
import io
import json
import re
import socket
import threading
import time
import zipfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import simplejpeg
from PIL import Image
from served import Client, Served, serving

from toonify.cli import main
from toonify.pages.server import Server
from toonify.serve.cache import Cache
from toonify.serve.queue import FullError, WorkQueue
from toonify.serve.studio import Studio
from toonify.serve.visitors import MOST_BYTES, clean_name

PHOTOS = Path(__file__).parents[1] / "data/photos"


@pytest.fixture(scope="module")
def studio() -> Studio:
    """The styles, opened once for all tests."""
    return Studio()


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Small photos: upright, turned by Exif, CMYK, transparent, with metadata."""
    folder = tmp_path_factory.mktemp("photos") / "holiday"
    folder.mkdir()
    with Image.open(PHOTOS / "colosseum.jpg") as opened:
        small = opened.convert("RGB").resize((240, 160))
    exif = Image.Exif()
    exif[0x010E] = "a description"
    small.save(folder / "a.jpg", quality=92, exif=exif)
    exif[0x0112] = 6
    small.save(folder / "turned.jpg", quality=92, exif=exif)
    small.convert("CMYK").save(folder / "print.jpg", quality=92)
    clear = small.convert("RGBA")
    clear.putalpha(Image.linear_gradient("L").resize(small.size))
    clear.save(folder / "clear.png")
    return folder


@pytest.fixture(scope="module")
def server(studio: Studio) -> Iterator[Served]:
    with serving(studio=studio) as running:
        yield running


@pytest.fixture
def client(server: Served) -> Client:
    visitor = Client(server.listening.port)
    assert visitor.open().status == 200
    return visitor


def pixels_of(jpeg: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(jpeg)).convert("RGB"))


def test_the_page_needs_nothing_from_elsewhere(server: Served) -> None:
    answer = Client(server.listening.port).open()
    policy = answer.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy and "unsafe" not in policy and "http" not in policy
    assert answer.headers["Content-Type"].startswith("text/html")
    assert b"<script>" not in answer.body and b"style=" not in answer.body and b"//" not in answer.body


def test_the_page_is_told_what_the_command_line_knows(client: Client) -> None:
    from toonify.styles.find import shipped_names
    from toonify.styles.options import OPTIONS

    schema = client.get("/api/schema").json
    assert [style["id"] for style in schema["styles"]] == shipped_names()
    for option in schema["options"]:
        known = OPTIONS[option["name"]]
        assert (option["help"], option["words"]) == (known.help, list(known.words))
        assert option["limits"] == (None if known.limits is None else list(known.limits))
    assert schema["folder"] is None and not schema["may_write"]
    assert {"soft", "drawn", "bold"} == set(schema["styles"][0]["looks"])


def test_a_preview_has_the_strokes_of_the_result(client: Client, photos: Path, tmp_path: Path) -> None:
    """A photo as large as the working size or smaller: the preview is the picture, but for JPEG."""
    photo = client.drop(photos / "a.jpg")
    out = tmp_path / "a.png"
    assert main(["convert", str(photos / "a.jpg"), "--style", "hayao", "--look", "bold", "-q", "-o", str(out)]) == 0
    shown = client.get(f"/api/photos/{photo['id']}/drawing", style="hayao", look="bold", side=768)
    assert shown.status == 200 and shown.headers["Content-Type"] == "image/jpeg"
    as_shown = simplejpeg.encode_jpeg(np.asarray(Image.open(out)), 90, "RGB", "444")
    assert shown.body == as_shown
    full = client.get(f"/api/photos/{photo['id']}/drawing", style="hayao", look="bold", side="full")
    assert np.array_equal(pixels_of(full.body), pixels_of(shown.body))


def test_every_control_changes_the_preview(client: Client, photos: Path) -> None:
    photo = client.drop(photos / "a.jpg")
    path = f"/api/photos/{photo['id']}/drawing"
    plain = client.get(path, style="shinkai").body
    changes = [
        {"look": "bold"},
        {"look": "soft"},
        {"lines": "0"},
        {"flat": "0"},
        {"keep_color": "1"},
        {"saturation": "3"},
        {"strength": "0.3"},
        {"size": "96"},
    ]
    bodies = [client.get(path, style="shinkai", **change).body for change in changes]
    assert len({plain, *bodies}) == 1 + len(changes)
    assert client.get(path, style="shinkai", look="drawn", faces="auto").body == plain


@pytest.mark.parametrize(
    ("query", "word"),
    [
        ({"style": "nobody"}, "nobody"),
        ({"style": "shinkai", "lines": "2"}, "--lines 2"),
        ({"style": "shinkai", "lines": "nan"}, "--lines nan"),
        ({"style": "shinkai", "saturation": "inf"}, "--saturation inf"),
        ({"style": "shinkai", "look": "odd"}, "--look odd"),
        ({"style": "shinkai", "size": "3"}, "--size 3"),
        ({"style": "shinkai", "raw": "1"}, "raw"),
        ({"style": "shinkai", "side": "100000"}, "side"),
        ({"style": "shinkai", "side": "²"}, "side"),
        ({"style": "shinkai", "rank": "-1"}, "rank"),
    ],
)
def test_what_is_out_of_its_limits_is_refused_in_a_line(
    query: dict[str, str], word: str, client: Client, photos: Path
) -> None:
    photo = client.drop(photos / "a.jpg")
    answer = client.get(f"/api/photos/{photo['id']}/drawing", **query)
    assert answer.status == 400 and word in answer.json["error"] and "\n" not in answer.json["error"]


@pytest.mark.parametrize(
    ("options", "flags"),
    [
        ({}, []),
        (
            {"look": "bold", "lines": 0.4, "saturation": 1.5},
            ["--look", "bold", "--lines", "0.4", "--saturation", "1.5"],
        ),
        (
            {"look": "soft", "keep_color": 0.5, "strength": 1.2, "size": 128, "faces": "off"},
            ["--look", "soft", "--keep-color", "0.5", "--strength", "1.2", "--size", "128", "--faces", "off"],
        ),
    ],
)
def test_a_download_has_the_bytes_that_convert_writes(
    options: dict[str, Any], flags: list[str], client: Client, photos: Path, tmp_path: Path
) -> None:
    names = ["a.jpg", "turned.jpg", "print.jpg", "clear.png"]
    out = tmp_path / "out"
    assert main(["convert", str(photos), "--style", "paprika", *flags, "-q", "-o", str(out)]) == 0
    ids = [client.drop(photos / name)["id"] for name in names]
    takes = client.take(ids, "paprika", options=options)
    assert [take["state"] for take in takes] == ["done"] * 4
    for name, take in zip(names, takes, strict=True):
        answer = client.get(f"/api/takes/{take['id']}/file")
        assert answer.body == (out / name).read_bytes()
        assert Path(name).stem in answer.headers["Content-Disposition"]
    answer = client.get("/api/takes/zip", batch=takes[0]["batch"])
    with zipfile.ZipFile(io.BytesIO(answer.body)) as packed:
        assert packed.testzip() is None and len(packed.namelist()) == 4
        assert sorted(packed.read(name) for name in packed.namelist()) == sorted(
            (out / name).read_bytes() for name in names
        )


def test_formats_and_metadata_are_as_asked_for(client: Client, photos: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    flags = ["--format", "webp", "--strip-metadata"]
    assert main(["convert", str(photos / "a.jpg"), "--style", "hosoda", *flags, "-q", "-o", str(out)]) == 0
    (take,) = client.take([client.drop(photos / "a.jpg")["id"]], "hosoda", format="webp", strip_metadata=True)
    assert take["name"] == "a_hosoda.webp"
    (written,) = out.iterdir() if out.is_dir() else [out]
    assert client.get(f"/api/takes/{take['id']}/file").body == written.read_bytes()


def test_names_of_one_batch_are_each_their_own(client: Client, photos: Path) -> None:
    ids = [client.drop(photos / "a.jpg", name)["id"] for name in ("x.jpg", "X.JPG", "x.jpg")]
    takes = client.take(ids, "shinkai")
    assert [take["name"] for take in takes] == ["x_shinkai.jpg", "X_shinkai_2.JPG", "x_shinkai_3.jpg"]


def test_a_broken_photo_says_why_and_stops_nobody(client: Client, photos: Path, tmp_path: Path) -> None:
    broken, cut, empty = tmp_path / "broken.jpg", tmp_path / "cut.jpg", tmp_path / "empty.png"
    broken.write_bytes(b"no picture at all")
    cut.write_bytes((photos / "a.jpg").read_bytes()[:4000])
    empty.write_bytes(b"")
    records = [client.drop(path) for path in (broken, cut, empty)]
    assert records[0]["problem"] and records[1]["problem"] is None and records[2]["problem"] == "an empty file"
    answer = client.get(f"/api/photos/{records[1]['id']}/drawing", style="shinkai")
    assert answer.status == 422 and answer.json["error"]
    good = client.drop(photos / "a.jpg")
    takes = client.take([records[0]["id"], records[1]["id"], good["id"]], "shinkai")
    assert [take["state"] for take in takes] == ["failed", "failed", "done"]
    assert takes[0]["reason"] and takes[1]["reason"] == answer.json["error"]


def test_a_decompression_bomb_is_refused_unread(client: Client, tmp_path: Path) -> None:
    """A PNG that says it has 30000 x 30000 pixels, in a few bytes."""
    import struct
    import zlib

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    head = struct.pack(">IIBBBBB", 30_000, 30_000, 8, 2, 0, 0, 0)
    bomb = tmp_path / "bomb.png"
    bomb.write_bytes(
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")
    )
    photo = client.drop(bomb)
    assert "30000 x 30000" in photo["problem"]
    assert client.get(f"/api/photos/{photo['id']}/photo").status == 422
    (take,) = client.take([photo["id"]], "shinkai")
    assert take["state"] == "failed" and "30000 x 30000" in take["reason"]


def test_no_answer_names_a_path_of_this_machine(client: Client, server: Served, photos: Path, tmp_path: Path) -> None:
    broken = tmp_path / "broken.jpg"
    broken.write_bytes(b"no picture at all")
    photo, wrong = client.drop(photos / "a.jpg", "../../etc/passwd.jpg"), client.drop(broken)
    assert photo["name"] == "passwd.jpg"
    takes = client.take([photo["id"], wrong["id"]], "shinkai")
    said = json.dumps([photo, wrong, takes, client.get("/api/photos").json, client.get("/api/schema").json])
    assert str(server.root) not in said and str(tmp_path) not in said and str(Path.cwd()) not in said
    assert all(path.is_relative_to(server.root) for path in server.root.rglob("*"))


def test_photos_of_one_visitor_are_not_seen_by_another(client: Client, server: Served, photos: Path) -> None:
    other = Client(server.listening.port)
    other.open()
    photo = client.drop(photos / "a.jpg")
    (take,) = client.take([photo["id"]], "shinkai")
    assert other.get("/api/photos").json["photos"] == []
    for path in (f"/api/photos/{photo['id']}/photo", f"/api/takes/{take['id']}/file", "/api/takes/zip"):
        assert other.get(path).status == 404
    assert other.get(f"/api/photos/{photo['id']}/drawing", style="shinkai").status == 404
    assert other.post("/api/takes", {"photos": [photo["id"]], "style": "shinkai"}).status == 404
    assert other.ask("DELETE", f"/api/photos/{photo['id']}").status == 404
    assert client.get(f"/api/photos/{photo['id']}/photo").status == 200
    nobody = Client(server.listening.port)
    assert nobody.get("/api/photos").status == 401


def test_what_is_removed_is_gone(client: Client, server: Served, photos: Path) -> None:
    before = len([path for path in server.root.rglob("*") if path.is_file()])
    photo = client.drop(photos / "a.jpg")
    assert client.ask("DELETE", f"/api/photos/{photo['id']}").status == 204
    assert client.get(f"/api/photos/{photo['id']}/photo").status == 404
    assert len([path for path in server.root.rglob("*") if path.is_file()]) == before


def test_the_temporary_folder_is_gone_at_the_end(studio: Studio, photos: Path) -> None:
    with serving(studio=studio) as running:
        visitor = Client(running.listening.port)
        visitor.open()
        visitor.take([visitor.drop(photos / "a.jpg")["id"]], "shinkai")
        root = running.root
        assert root.stat().st_mode & 0o077 == 0 and any(path.is_file() for path in root.rglob("*"))
    assert not root.exists()


def test_a_cancelled_picture_leaves_nothing_and_can_be_tried_again(client: Client, photos: Path) -> None:
    ids = [client.drop(photos / "a.jpg")["id"] for _ in range(12)]
    takes = client.post("/api/takes", {"photos": ids, "style": "hayao"}).json["takes"]
    last = takes[-1]["id"]
    assert client.post("/api/takes/cancel", [last]).json == {"cancelled": 1}
    ended = client.wait([take["id"] for take in takes])
    assert [take["state"] for take in ended] == ["done"] * 11 + ["cancelled"]
    assert client.get(f"/api/takes/{last}/file").status == 404
    assert client.ask("POST", f"/api/takes/{last}/retry").status == 202
    assert client.wait([last])[0]["state"] == "done"
    assert client.ask("POST", f"/api/takes/{last}/retry").status == 404
    assert client.ask("DELETE", "/api/takes").status == 204
    assert client.get(f"/api/takes/{last}/file").status == 404


def test_a_browser_that_goes_away_stops_its_work(
    client: Client, server: Served, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("toonify.serve.app._AWAY_SECONDS", 0.05)
    ids = [client.drop(photos / "a.jpg")["id"] for _ in range(30)]
    with client.events() as events:
        takes = client.post("/api/takes", {"photos": ids, "style": "hosoda"}).json["takes"]
        next(events)
    limit = time.monotonic() + 30
    visitor = server.application._visitors.find(client.cookie.partition("=")[2])
    assert visitor is not None
    while any(take.state in ("waiting", "drawing") for take in server.application._takes.of(visitor)[1]):
        assert time.monotonic() < limit
        time.sleep(0.05)
    states = [take.state for take in server.application._takes.of(visitor)[1]]
    assert states.count("cancelled") > len(takes) / 2


def test_a_preview_that_nobody_waits_for_any_longer_is_not_drawn(
    client: Client, server: Served, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    photo = client.drop(photos / "a.jpg")
    drawn: list[str] = []
    preview = Studio.preview

    def slow(studio: Studio, source: Any, choice: Any, side: int) -> bytes:
        time.sleep(0.3)
        drawn.append(choice.style)
        return preview(studio, source, choice, side)

    monkeypatch.setattr(Studio, "preview", slow)
    asked = []
    for number in range(12):
        connection = socket.create_connection(("127.0.0.1", server.listening.port))
        path = f"/api/photos/{photo['id']}/drawing?style=shinkai&lines=0.{number + 1}"
        host = f"127.0.0.1:{server.listening.port}"
        connection.sendall(f"GET {path} HTTP/1.1\r\nHost: {host}\r\nCookie: {client.cookie}\r\n\r\n".encode())
        asked.append(connection)
    time.sleep(0.2)
    for connection in asked:
        connection.close()
    assert client.get(f"/api/photos/{photo['id']}/drawing", style="shinkai", rank=0).status == 200
    assert len(drawn) < 12


def test_more_windows_of_one_browser_share_their_photos(client: Client, photos: Path) -> None:
    with client.events() as events:
        next_window = Client(client.port, client.cookie)
        photo = next_window.drop(photos / "a.jpg")
        for event in events:
            if event["photos"]:
                break
        assert photo["id"] in [each["id"] for each in client.get("/api/photos").json["photos"]]


def test_who_has_gone_for_good_leaves_nothing(
    client: Client, server: Served, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    photo = client.drop(photos / "a.jpg")
    visitor = server.application._visitors.find(client.cookie.partition("=")[2])
    assert visitor is not None and visitor.folder is not None and visitor.folder.is_dir()
    monkeypatch.setattr("toonify.serve.visitors.KEPT_SECONDS", -1.0)
    with client.events() as events:
        next(events)
        Client(client.port).open()
        assert client.get(f"/api/photos/{photo['id']}/photo").status == 200  # a page is open
    limit = time.monotonic() + 10
    while visitor.pages:
        assert time.monotonic() < limit
        time.sleep(0.05)
    Client(client.port).open()
    assert not visitor.folder.exists() and client.get("/api/photos").status == 401


def test_what_is_kept_of_previews_has_a_limit() -> None:
    cache, made = Cache(100), []

    def make(name: str) -> str:
        made.append(name)
        return name

    for name in ("a", "b", "a", "c", "a", "b"):
        assert cache.get((name, 1), functools.partial(make, name), lambda value: 40) == name
        assert cache.used <= 100
    assert made == ["a", "b", "c", "b"]  # a was wanted all the time
    assert cache.get(("large", 1), lambda: "large", lambda value: 101) == "large" and cache.used <= 100
    cache.forget(lambda key: key[0] == "a")
    assert cache.get(("a", 1), lambda: make("a"), lambda value: 40) == "a" and made[-1] == "a"


def test_a_picture_that_two_wait_for_is_drawn_once() -> None:
    cache, made = Cache(100), []

    def make() -> int:
        time.sleep(0.1)
        made.append(1)
        return len(made)

    with ThreadPoolExecutor(8) as pool:
        results = [pool.submit(cache.get, "key", make, lambda value: 1) for _ in range(8)]
    assert [each.result() for each in results] == [1] * 8
    with pytest.raises(ZeroDivisionError):
        cache.get("other", lambda: 1 // 0, lambda value: 1)
    assert cache.get("other", lambda: 2, lambda value: 1) == 2


def test_the_most_urgent_comes_first_and_what_is_cancelled_not_at_all() -> None:
    queue, done = WorkQueue(1, most=5), list[int]()
    started, go = threading.Event(), threading.Event()
    queue.submit(0, lambda: (started.set(), go.wait()))
    started.wait()
    waiting = [queue.submit(rank, functools.partial(done.append, rank)) for rank in (2, 1, 3, 0, 1)]
    with pytest.raises(FullError):
        queue.submit(0, lambda: None)
    waiting[1].cancel()
    go.set()
    for future in waiting:
        if not future.cancelled():
            future.result(timeout=10)
    queue.close()
    assert done == [0, 1, 2, 3]


# The command


def test_serve_says_where_the_page_is_and_ctrl_c_ends_it(
    photos: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[str] = []

    def interrupt(server: Server) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Server, "serve_forever", interrupt)
    monkeypatch.setattr("toonify.cli.serve._open_browser", opened.append)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert main(["serve", str(photos), "--port", str(port)]) == 130
    said = capsys.readouterr()
    (address,) = re.findall(r"http://127\.0\.0\.1:\d+/\?token=\S+", said.out)
    assert opened == [address] and f":{port}/" not in address and f"port {port} is taken" in said.out
    assert main(["serve", "--no-open", "--port", "0", "-q"]) == 130
    said = capsys.readouterr()
    assert len(said.out.splitlines()) == 1 and len(opened) == 1
    assert main(["serve", "--no-open", "--port", "0", "--host", "0.0.0.0"]) == 130  # noqa: S104
    said = capsys.readouterr()
    assert "http://THIS-MACHINE:" in said.out and "warning: --host 0.0.0.0" in said.err


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (["gone"], "gone is no folder"),
        (["{empty}"], "no photos"),
        (["--port", "70000"], "--port"),
        (["--host", "203.0.113.1"], "--host 203.0.113.1"),
        (["--host", ""], "--host is empty"),
    ],
)
def test_a_wrong_command_is_one_line(
    arguments: list[str], word: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    typed = [each.replace("{empty}", str(tmp_path)) for each in arguments]
    assert main(["serve", "--no-open", *typed]) == 2
    said = capsys.readouterr().err.strip().splitlines()
    assert word in said[-1] and said[-1].startswith("error: ")


# The folder


@pytest.fixture
def holiday(photos: Path, tmp_path: Path) -> Path:
    folder = tmp_path / "holiday"
    (folder / "sub").mkdir(parents=True)
    (folder / "a.jpg").write_bytes((photos / "a.jpg").read_bytes())
    (folder / "sub" / "b.png").write_bytes((photos / "clear.png").read_bytes())
    (folder / "broken.jpg").write_bytes(b"no picture")
    return folder


def test_drawings_are_written_beside_the_folder_as_convert_would(
    studio: Studio, holiday: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with serving(holiday, studio=studio) as running:
        visitor = Client(running.listening.port)
        assert visitor.open(running.application.token).status == 303
        schema = visitor.get("/api/schema").json
        assert schema["may_write"] and schema["folder"] == "holiday"
        listed = visitor.get("/api/photos").json["photos"]
        assert [photo["name"] for photo in listed] == ["a.jpg", "broken.jpg", "sub/b.png"]
        ids = {photo["name"]: photo["id"] for photo in listed}
        assert visitor.get("/api/folder", style="hayao").json == {}
        takes = visitor.take(list(ids.values()), "hayao", place="folder")
        assert [take["state"] for take in takes] == ["done", "failed", "done"]
        assert visitor.get("/api/folder", style="hayao").json == {ids["a.jpg"]: "done", ids["sub/b.png"]: "done"}
        assert visitor.get(f"/api/photos/{ids['a.jpg']}/done", style="hayao").status == 200
        assert visitor.get(f"/api/photos/{ids['a.jpg']}/done", style="paprika").status == 404
        # Another choice is kept apart, until it is to be replaced.
        assert visitor.get("/api/folder", style="hayao", look="bold").json[ids["a.jpg"]] == "other"
        (take,) = visitor.take([ids["a.jpg"]], "hayao", options={"look": "bold"}, place="folder")
        assert take["state"] == "failed" and take["can_replace"] and "--look" in take["reason"]
        assert visitor.ask("POST", f"/api/takes/{take['id']}/retry?overwrite=yes").status == 202
        assert visitor.wait([take["id"]])[0]["state"] == "done"
    drawn = holiday.with_name("holiday_hayao")
    assert sorted(path.relative_to(drawn).as_posix() for path in drawn.rglob("*.*")) == ["a.jpg", "sub/b.png"]
    capsys.readouterr()
    assert main(["convert", str(holiday), "--style", "hayao", "--look", "bold", "--dry-run"]) == 1  # one is broken
    assert "a.jpg: skipped (already made in this way)" in capsys.readouterr().out


def test_what_convert_has_drawn_is_shown_as_done(studio: Studio, holiday: Path) -> None:
    assert main(["convert", str(holiday), "--style", "shinkai", "-q"]) == 1  # one is broken
    with serving(holiday, studio=studio) as running:
        visitor = Client(running.listening.port)
        visitor.open(running.application.token)
        names = {photo["id"]: photo["name"] for photo in visitor.get("/api/photos").json["photos"]}
        states = visitor.get("/api/folder", style="shinkai").json
        assert {names[each]: state for each, state in states.items()} == {"a.jpg": "done", "sub/b.png": "done"}


def test_the_folder_is_for_the_browser_with_the_token_alone(studio: Studio, holiday: Path) -> None:
    with serving(holiday, studio=studio) as running:
        guest, owner = Client(running.listening.port), Client(running.listening.port)
        assert guest.open("x" * 32).status == 403
        assert guest.open().status == 200
        owner.open(running.application.token)
        photo = next(each for each in owner.get("/api/photos").json["photos"] if each["name"] == "a.jpg")
        schema = guest.get("/api/schema").json
        assert schema["folder"] is None and schema["has_folder"] and not schema["may_write"]
        assert guest.get("/api/photos").json["photos"] == []
        assert guest.get(f"/api/photos/{photo['id']}/photo").status == 404
        assert guest.get("/api/folder", style="shinkai").status == 404
        dropped = guest.drop(holiday / "a.jpg")
        asked = {"photos": [dropped["id"]], "style": "shinkai", "place": "folder"}
        assert guest.post("/api/takes", asked).status == 403
        assert owner.post("/api/takes", {**asked, "photos": [photo["id"]]}, Origin="http://evil.example").status == 403
    assert not holiday.with_name("holiday_shinkai").exists()


def test_from_the_network_nobody_comes_in_without_the_token(studio: Studio, photos: Path) -> None:
    with serving(host="0.0.0.0", studio=studio) as running:  # noqa: S104
        visitor = Client(running.listening.port)
        assert visitor.open().status == 403 and visitor.get("/api/schema").status == 401
        assert visitor.open(running.application.token).status == 303
        assert visitor.open().status == 200 and visitor.drop(photos / "a.jpg")["problem"] is None


# Attacks


@pytest.mark.parametrize(
    ("method", "path", "headers", "status"),
    [
        ("GET", "/", {"Host": "example.com"}, 421),
        ("GET", "/api/photos", {"Host": "127.0.0.1:1"}, 421),
        ("POST", "/api/photos?name=x.jpg", {"Origin": "https://example.com"}, 403),
        ("POST", "/api/photos?name=x.jpg", {"Origin": "null"}, 403),
        ("POST", "/api/takes", {"Origin": "http://127.0.0.1:1"}, 403),
        ("GET", "/api/photos", {"Sec-Fetch-Site": "cross-site"}, 403),
        ("GET", "/api/takes/zip", {"Sec-Fetch-Site": "same-site"}, 403),
        ("GET", "/page/../app.py", {}, 404),
        ("GET", "/page/%2e%2e%2fapp.py", {}, 404),
        ("GET", "/page/..%2f..%2f..%2fetc%2fpasswd", {}, 404),
        ("GET", "/api/photos/..%2f..%2fetc%2fpasswd/photo", {}, 404),
        ("GET", "/api/photos/../../etc/passwd", {}, 404),
        ("GET", "//etc/passwd", {}, 404),
        ("DELETE", "/api/schema", {}, 405),
        ("PUT", "/", {}, 405),
        ("TRACE", "/", {}, 405),
    ],
)
def test_other_sites_and_odd_names_are_refused_in_a_line(
    method: str, path: str, headers: dict[str, str], status: int, client: Client
) -> None:
    answer = client.ask(method, path, **{name.replace("-", "_"): value for name, value in headers.items()})
    assert answer.status == status and answer.body.count(b"\n") <= 1 and b"Traceback" not in answer.body
    assert client.open().status == 200


@pytest.mark.parametrize(
    ("body", "kind", "status"),
    [
        (b"{", "application/json", 400),
        (b"[]", "application/json", 400),
        (b'{"photos": [], "style": "shinkai", "other": 1}', "application/json", 400),
        (b'{"photos": ["x"], "style": "shinkai", "options": {"lines": true}}', "application/json", 400),
        (b'{"photos": ["x"], "style": "shinkai"}', "text/plain", 400),
        (b'{"photos": ["x"], "style": "shinkai"}', "application/json", 404),
        (b"[" * 200_000, "application/json", 400),
        (b" " * 600_000, "application/json", 413),
        (b"\xff\xfe", "application/json", 400),
    ],
)
def test_a_request_that_cannot_be_read_is_refused(body: bytes, kind: str, status: int, client: Client) -> None:
    answer = client.ask("POST", "/api/takes", body, Content_Type=kind)
    assert answer.status == status and answer.json["error"]


def send(port: int, data: bytes) -> bytes:
    """What comes back for raw bytes, until the server closes or a second has passed without a word."""
    with socket.create_connection(("127.0.0.1", port), timeout=1) as connection:
        received = b""
        try:
            connection.sendall(data)
            while part := connection.recv(65_536):
                received += part
        except (TimeoutError, ConnectionError):
            pass
        return received


def upload_head(client: Client, length: str) -> bytes:
    return (
        f"POST /api/photos?name=x.jpg HTTP/1.1\r\nHost: 127.0.0.1:{client.port}\r\nCookie: {client.cookie}\r\n"
        f"Content-Length: {length}\r\n\r\n"
    ).encode()


def test_an_upload_that_says_it_is_too_large_is_refused_before_it_comes(client: Client) -> None:
    reply = send(client.port, upload_head(client, str(MOST_BYTES + 1)))
    assert reply.startswith(b"HTTP/1.1 413") and b"MB" in reply


def test_an_upload_that_lies_about_its_length_leaves_nothing(client: Client, server: Served) -> None:
    before = {path for path in server.root.rglob("*") if path.is_file()}
    for length in ("-1", "1e9", "0x10", "9" * 40):
        assert send(client.port, upload_head(client, length)).startswith(b"HTTP/1.1 400")
    send(client.port, upload_head(client, "1000") + b"short")
    chunked = upload_head(client, "0").replace(b"Content-Length: 0", b"Transfer-Encoding: chunked")
    send(client.port, chunked + b"ffffffff\r\n")
    limit = time.monotonic() + 10
    while {path for path in server.root.rglob("*") if path.is_file()} != before:
        assert time.monotonic() < limit
        time.sleep(0.05)
    assert client.get("/api/photos").json["photos"] == []


def test_more_than_the_limit_is_cut_off_while_it_comes(
    client: Client, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("toonify.serve.requests.MOST_BYTES", 1000)
    chunked = upload_head(client, "0").replace(b"Content-Length: 0", b"Transfer-Encoding: chunked")
    reply = send(client.port, chunked + b"800\r\n" + b"x" * 0x800 + b"\r\n")
    assert reply.startswith(b"HTTP/1.1 413")
    assert client.get("/api/photos").json["photos"] == []


def test_slow_clients_are_cut_off_and_hold_nobody_up(
    client: Client, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("toonify.pages.server.REQUEST_SECONDS", 0.3)
    monkeypatch.setattr("toonify.serve.requests.STALL_SECONDS", 0.3)
    begun = [b"", b"GET / HT", b"GET / HTTP/1.1\r\nHost: x\r\n", upload_head(client, "1000") + b"x"]
    connections = []
    for data in begun * 5:
        connection = socket.create_connection(("127.0.0.1", client.port), timeout=10)
        connection.sendall(data)
        connections.append(connection)
    assert client.drop(photos / "a.jpg")["problem"] is None
    for connection in connections:
        while connection.recv(1000):  # the deadline ends it
            pass
        connection.close()


def test_an_upload_that_drips_is_cut_off(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("toonify.serve.requests._GRACE", 0.2)
    with socket.create_connection(("127.0.0.1", client.port), timeout=10) as connection:
        connection.sendall(upload_head(client, "1000"))
        began = time.monotonic()
        with pytest.raises(ConnectionError):
            while time.monotonic() < began + 10:
                connection.sendall(b"x")
                time.sleep(0.05)


def test_thousands_of_requests_leave_the_page_alive(client: Client, server: Served, photos: Path) -> None:
    """Visitors that nobody knows are forgotten first: who has photos keeps them."""
    photo = client.drop(photos / "a.jpg")

    def hammer(number: int) -> int:
        return Client(client.port).ask("GET", "/" if number % 2 else f"/api/photos/{number}/photo").status

    with ThreadPoolExecutor(16) as pool:
        statuses = set(pool.map(hammer, range(2000)))
    assert statuses <= {200, 401, 503}
    assert client.get(f"/api/photos/{photo['id']}/photo").status == 200
    assert len(server.application._visitors._by_id) <= 256


def test_photos_are_limited_in_number(client: Client, photos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("toonify.serve.visitors.MOST_PHOTOS", 2)
    client.drop(photos / "a.jpg")
    client.drop(photos / "a.jpg")
    answer = client.ask("POST", "/api/photos?name=x.jpg", b"x")
    assert answer.status == 413 and "more than 2 photos" in answer.json["error"]


@pytest.mark.parametrize(
    ("name", "clean"),
    [
        ("../../etc/passwd", "passwd"),
        ("C:\\Users\\me\\cat.jpg", "cat.jpg"),
        ("a\x00b\n.jpg", "a_b_.jpg"),
        ("..", "photo"),
        ("", "photo"),
        ("x" * 500 + ".jpeg", "x" * 115 + ".jpeg"),
        ("Straßenbahnhaltestelle.HEIC", "Straßenbahnhaltestelle.HEIC"),
        ("\u202egpj.exe", "_gpj.exe"),
    ],
)
def test_names_are_shown_and_lead_nowhere(name: str, clean: str) -> None:
    assert clean_name(name) == clean
