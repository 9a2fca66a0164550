import errno
import os
import sys
import unicodedata
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from toonify.errors import UsageError, display
from toonify.images import FORMAT_OF_SUFFIX, FORMATS, encode_picture
from toonify.jobs.find import Found, find_photos
from toonify.jobs.plan import Job, default_output, plan_jobs
from toonify.prepare.survey import picture_names

needs_posix = pytest.mark.skipif(os.name == "nt", reason="needs POSIX files")


def touch(folder: Path, *names: str) -> None:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()


def names(found: list[Found], folder: Path) -> list[str]:
    return [photo.path.relative_to(folder).as_posix() for photo in found]


def targets(paths: list[str], *, root: str | None = None, output: str | None = None, **options) -> list[str]:
    """What photos at `paths` are planned to become; nothing needs to exist."""
    found = [Found(Path(path), Path(root) if root is not None else None) for path in paths]
    jobs = plan_jobs(found, output=Path(output) if output is not None else None, style="shinkai", **options)
    assert [job.source for job in jobs] == [Path(path) for path in paths]
    return [job.target.as_posix() for job in jobs]


# --- finding ---


def test_a_folder_is_walked_in_the_order_of_names(tmp_path):
    touch(tmp_path, "b.jpg", "a.PNG", "C.JPEG", "sub/d.heic", "sub/deep/e.webp", "notes.txt", "jpg", "sub/data.csv")
    assert names(find_photos([tmp_path]), tmp_path) == ["C.JPEG", "a.PNG", "b.jpg", "sub/d.heic", "sub/deep/e.webp"]
    assert all(photo.root == tmp_path and photo.problem is None for photo in find_photos([tmp_path]))


def test_subfolders_are_left_alone_without_recursion(tmp_path):
    touch(tmp_path, "a.jpg", "sub/b.jpg")
    assert names(find_photos([tmp_path], recursive=False), tmp_path) == ["a.jpg"]


def test_hidden_files_and_folders_are_passed_over(tmp_path):
    touch(tmp_path, "a.jpg", "._a.jpg", ".b.jpg", ".thumbnails/c.jpg", "sub/._d.jpg")
    assert names(find_photos([tmp_path]), tmp_path) == ["a.jpg"]


def test_a_file_that_is_named_is_taken_whatever_its_name(tmp_path):
    touch(tmp_path, "photo.dat", "none", ".hidden.jpg")
    inputs = [tmp_path / name for name in ("photo.dat", "none", ".hidden.jpg")]
    assert find_photos(inputs) == [Found(path) for path in inputs]


def test_a_photo_that_is_named_twice_is_found_once(tmp_path, monkeypatch):
    touch(tmp_path, "sub/a.jpg")
    monkeypatch.chdir(tmp_path)
    inputs = [Path("sub/a.jpg"), Path("sub"), Path("sub/../sub/a.jpg"), tmp_path / "sub"]
    assert find_photos(inputs) == [Found(Path("sub/a.jpg"))]


@needs_posix
def test_a_loop_of_folders_is_walked_once(tmp_path):
    touch(tmp_path, "a.jpg", "sub/b.jpg")
    (tmp_path / "sub" / "up").symlink_to(tmp_path)
    (tmp_path / "twin").symlink_to(tmp_path / "sub")
    assert names(find_photos([tmp_path]), tmp_path) == ["a.jpg", "sub/b.jpg"]


@needs_posix
def test_links_to_files_and_folders_elsewhere_are_followed(tmp_path):
    touch(tmp_path, "elsewhere/a.jpg", "b.jpg", "photos/c.jpg")
    (tmp_path / "photos" / "more").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "photos" / "d.jpg").symlink_to(tmp_path / "b.jpg")
    assert names(find_photos([tmp_path / "photos"]), tmp_path / "photos") == ["c.jpg", "d.jpg", "more/a.jpg"]


@needs_posix
@pytest.mark.parametrize("in_folder", [True, False])
def test_what_cannot_be_opened_is_found_with_its_problem(tmp_path, in_folder):
    (tmp_path / "dangling.jpg").symlink_to(tmp_path / "nowhere")
    os.mkfifo(tmp_path / "pipe.jpg")
    (tmp_path / "self.jpg").symlink_to(tmp_path / "self.jpg")
    inputs = [tmp_path] if in_folder else sorted(tmp_path.iterdir())
    dangling, pipe, self = find_photos(inputs)
    assert dangling.problem.startswith("cannot be opened: ")
    assert pipe.problem == "not a regular file"
    assert self.problem.startswith("cannot be opened: ")
    jobs = plan_jobs([dangling, pipe, self], output=None, style="shinkai")
    assert [job.problem for job in jobs] == [dangling.problem, pipe.problem, self.problem]


@needs_posix
@pytest.mark.skipif(getattr(os, "geteuid", lambda: 0)() == 0, reason="root may read everything")
def test_a_folder_that_cannot_be_listed_is_a_problem_and_not_the_end(tmp_path):
    touch(tmp_path, "a.jpg", "closed/b.jpg", "open/c.jpg")
    (tmp_path / "closed").chmod(0)
    try:
        found = find_photos([tmp_path])
    finally:
        (tmp_path / "closed").chmod(0o755)
    assert names(found, tmp_path) == ["a.jpg", "open/c.jpg", "closed"]
    assert found[-1].problem == "cannot be listed: Permission denied"


@pytest.mark.parametrize("output", [None, Path("out")])
def test_an_input_that_cannot_be_listed_is_a_problem_and_not_the_end(tmp_path, monkeypatch, output):
    monkeypatch.chdir(tmp_path)
    touch(tmp_path, "ok/a.jpg", "locked/b.jpg")
    scandir = os.scandir

    def deny(path):
        if Path(path).name == "locked":
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", deny)
    found = find_photos([Path("ok"), Path("locked")])
    jobs = plan_jobs(found, output=output, style="shinkai", format="same")
    assert [(job.source, job.problem) for job in jobs] == [
        (Path("ok/a.jpg"), None),
        (Path("locked"), "cannot be listed: Permission denied"),
    ]
    assert picture_names(found) == ["ok/a", "locked/locked"]


def test_a_folder_that_looks_like_a_picture_is_walked(tmp_path):
    touch(tmp_path, "album.jpg/a.jpg")
    assert names(find_photos([tmp_path]), tmp_path) == ["album.jpg/a.jpg"]


def test_the_output_folder_inside_the_input_is_left_out(tmp_path, monkeypatch):
    touch(tmp_path, "a.jpg", "out/a.jpg", "sub/out/b.jpg")
    assert names(find_photos([tmp_path], leave_out=tmp_path / "out"), tmp_path) == ["a.jpg", "sub/out/b.jpg"]
    monkeypatch.chdir(tmp_path)
    assert names(find_photos([Path()], leave_out=Path("sub/../out")), Path()) == ["a.jpg", "sub/out/b.jpg"]


def fill(folder: Path, *, photos: tuple[str, ...] = (), drawings: tuple[str, ...] = (), style: str = "shinkai") -> None:
    """Put pictures into a folder: photos, and what says that toonify has drawn it."""
    made = f"toonify 0.1.0 {style}/lite recipe:00"
    pixels = np.zeros((8, 8, 3), np.uint8)
    for names, note in ((photos, None), (drawings, made)):
        for name in names:
            kind = FORMAT_OF_SUFFIX[Path(name).suffix]
            (folder / name).write_bytes(encode_picture(pixels, format=kind, note=note))


def test_our_own_drawings_beside_their_photos_are_left_out(tmp_path):
    drawings = ("cat_shinkai.jpg", "cat_shinkai_2.jpg", "dog_my_style.jpg", "alone_shinkai.jpg")
    fill(tmp_path, photos=("cat.jpg", "cat_2.jpg", "dog.jpg"), drawings=drawings)
    assert names(find_photos([tmp_path]), tmp_path) == ["alone_shinkai.jpg", "cat.jpg", "cat_2.jpg", "dog.jpg"]
    assert find_photos([tmp_path / "cat_shinkai.jpg"]) == [Found(tmp_path / "cat_shinkai.jpg")]


def test_drawings_of_another_format_beside_their_photos_are_left_out(tmp_path):
    fill(tmp_path, photos=("cat.png", "dog.png", "dog.jpg"), drawings=("cat.jpg", "bird.jpg", "bird.png"))
    expected = ["bird.jpg", "bird.png", "cat.png", "dog.jpg", "dog.png"]
    assert names(find_photos([tmp_path]), tmp_path) == expected
    assert names(find_photos(sorted(tmp_path.iterdir())), tmp_path) == expected


def test_a_drawing_of_a_drawing_is_not_drawn_again(tmp_path):
    fill(tmp_path, drawings=("cat.jpg",))
    fill(tmp_path, drawings=("cat_hayao.jpg", "cat_hayao_2.jpg"), style="hayao")
    assert names(find_photos([tmp_path]), tmp_path) == ["cat.jpg"]
    assert names(find_photos(sorted(tmp_path.iterdir())), tmp_path) == ["cat.jpg"]


def test_what_is_no_picture_has_no_drawing(tmp_path):
    fill(tmp_path, drawings=("cat.jpg",))
    touch(tmp_path, "cat.xmp", "cat/notes.txt", "cat/dog.jpg")
    found = names(find_photos(sorted(tmp_path.iterdir())), tmp_path)
    assert sorted(found) == ["cat.jpg", "cat.xmp", "cat/dog.jpg"]


def test_a_folder_of_drawings_can_be_drawn_in_another_style(tmp_path):
    """Of two photos of one name the second drawing has a number, which makes it no drawing of the first."""
    fill(tmp_path, drawings=("cat.jpg", "cat_2.jpg", "cat_png.jpg"))
    assert names(find_photos([tmp_path]), tmp_path) == ["cat.jpg", "cat_2.jpg", "cat_png.jpg"]


def test_an_input_that_does_not_exist_is_refused_by_name(tmp_path):
    touch(tmp_path, "a.jpg")
    with pytest.raises(UsageError, match=r"missing\.jpg: no such file or folder"):
        find_photos([tmp_path / "a.jpg", tmp_path / "missing.jpg"])


def test_an_input_with_an_impossible_name_is_refused_like_one_that_does_not_exist(tmp_path):
    with pytest.raises(UsageError, match="no such file or folder"):
        find_photos([tmp_path / ("a" * 300 + ".jpg")])


def test_a_folder_without_photos_is_refused_and_says_what_was_looked_for(tmp_path):
    touch(tmp_path, "notes.txt", "sub/a.jpg")
    with pytest.raises(
        UsageError, match=r"no photos in .*looked for .*\.heic .* and not in subfolders; not read: 1 other file$"
    ):
        find_photos([tmp_path], recursive=False)


# --- planning: where drawings go ---


def test_without_an_output_drawings_go_beside_the_photos():
    assert targets(["cat.jpg", "a/dog.png"]) == ["cat_shinkai.jpg", "a/dog_shinkai.png"]


def test_without_an_output_a_folder_is_mirrored_beside_itself():
    assert targets(["in/a.jpg", "in/sub/b.png"], root="in") == ["in_shinkai/a.jpg", "in_shinkai/sub/b.png"]
    assert targets(["/x/in/a.jpg"], root="/x/in/") == ["/x/in_shinkai/a.jpg"]


def test_the_folder_beside_the_current_one_has_its_name(tmp_path, monkeypatch):
    photos = tmp_path / "photos"
    (photos / "sub").mkdir(parents=True)
    monkeypatch.chdir(photos)
    assert default_output(Path(), "shinkai") == tmp_path / "photos_shinkai"
    assert targets(["a.jpg"], root="") == [(tmp_path / "photos_shinkai" / "a.jpg").as_posix()]
    monkeypatch.chdir(photos / "sub")
    assert default_output(Path(".."), "shinkai") == tmp_path / "photos_shinkai"


def test_a_whole_drive_needs_an_output():
    with pytest.raises(UsageError, match="give --output DIR"):
        default_output(Path(Path.cwd().anchor), "shinkai")


def test_with_an_output_folders_are_mirrored_into_it_and_files_go_straight_in():
    assert targets(["in/a.jpg", "in/sub/b.png"], root="in", output="out") == ["out/a.jpg", "out/sub/b.png"]
    assert targets(["x/a.jpg", "y/b.png"], output="out/") == ["out/a.jpg", "out/b.png"]


def test_several_folders_keep_their_own_names_in_the_output():
    found = [Found(Path("x/a.jpg"), Path("x")), Found(Path("y/a.jpg"), Path("y")), Found(Path("b.jpg"))]
    jobs = plan_jobs(found, output=Path("out"), style="s")
    assert [job.target.as_posix() for job in jobs] == ["out/x/a.jpg", "out/y/a.jpg", "out/b.jpg"]


def test_several_folders_of_one_name_get_one_each():
    found = [Found(Path("x/in/a.jpg"), Path("x/in")), Found(Path("y/in/a.jpg"), Path("y/in"))]
    jobs = plan_jobs(found, output=Path("out"), style="s")
    assert [job.target.as_posix() for job in jobs] == ["out/in/a.jpg", "out/in_2/a.jpg"]


def test_an_output_with_the_suffix_of_a_picture_is_the_file_for_one_photo():
    jobs = plan_jobs([Found(Path("a.jpg"))], output=Path("out/b.PNG"), style="s")
    assert jobs == [Job(Path("a.jpg"), Path("out/b.PNG"), "png")]


def test_an_output_folder_may_look_like_a_picture(tmp_path):
    folder = tmp_path / "album.png"
    folder.mkdir()
    assert targets(["x/a.jpg"], output=str(folder)) == [(folder / "a.jpg").as_posix()]


@pytest.mark.parametrize(
    ("paths", "root", "output", "options", "message"),
    [
        (["a.jpg", "b.jpg"], None, "out.png", {}, "one file"),
        (["in/a.jpg"], "in", "out.png", {}, "one file"),
        (["a.jpg"], None, "a.jpg", {}, "the photo itself"),
        (["a.jpg"], None, "sub/../A.JPG", {}, "the photo itself"),
        (["a.jpg"], None, "b.png", {"format": "jpg"}, "do not agree"),
        (["a.jpg"], None, "b.heic", {}, "heic"),
        (["a.jpg"], None, "b.gif", {}, "gif"),
    ],
)
def test_an_output_file_that_cannot_serve_is_refused(paths, root, output, options, message):
    with pytest.raises(UsageError, match=message):
        targets(paths, root=root, output=output, **options)


def test_a_file_is_no_output_folder(tmp_path):
    touch(tmp_path, "notes.txt")
    with pytest.raises(UsageError, match="is a file; give a folder"):
        targets(["a.jpg"], output=str(tmp_path / "notes.txt"))


# --- planning: names and formats ---


@pytest.mark.parametrize(
    ("name", "option", "expected"),
    [
        ("a.jpg", "same", "a.jpg"),
        ("a.JPEG", "same", "a.JPEG"),
        ("a.heic", "same", "a.jpg"),
        ("a.bmp", "same", "a.png"),
        ("a.gif", "same", "a.png"),
        ("a.TIF", "same", "a.TIF"),
        ("a.dat", "same", "a.png"),
        ("a", "same", "a.png"),
        ("a.jpeg", "jpg", "a.jpeg"),
        ("a.png", "jpg", "a.jpg"),
        ("a.b.png", "webp", "a.b.webp"),
        ("a.jpg", "tiff", "a.tiff"),
    ],
)
def test_the_suffix_tells_the_format(name, option, expected):
    (job,) = plan_jobs([Found(Path(name))], output=Path("out"), style="s", format=option)
    assert job.target == Path("out", expected)
    assert job.target.suffix.lower() in FORMATS[job.format].suffixes


@pytest.mark.parametrize("paths", [["in/a.png", "in/a.jpg"], ["in/a.jpg", "in/a.png"]])
def test_of_two_photos_for_one_name_the_one_that_has_it_already_keeps_it(paths):
    expected = {"in/a.jpg": "out/a.jpg", "in/a.png": "out/a_png.jpg"}
    assert targets(paths, root="in", output="out", format="jpg") == [expected[path] for path in paths]


def test_three_photos_for_one_name_are_told_apart():
    paths = ["in/a.png", "in/a.webp", "in/a.heic", "in/a_png.jpg"]
    assert targets(paths, root="in", output="out", format="jpg") == [
        "out/a.jpg",
        "out/a_webp.jpg",
        "out/a_heic.jpg",
        "out/a_png.jpg",
    ]


def test_files_of_one_name_from_several_folders_are_told_apart():
    paths = ["x/a.jpg", "y/a.jpg", "z/a.jpg"]
    assert targets(paths, output="out") == ["out/a.jpg", "out/a_jpg.jpg", "out/a_jpg_2.jpg"]


def test_names_that_some_file_systems_take_for_one_are_told_apart():
    composed, decomposed = (unicodedata.normalize(form, "in/é.jpg") for form in ("NFC", "NFD"))
    for paths in (["in/a.jpg", "in/A.jpg"], [composed, decomposed], ["in/straße.jpg", "in/STRASSE.jpg"]):
        planned = targets(paths, root="in", output="out")
        assert len({unicodedata.normalize("NFC", target).casefold() for target in planned}) == 2


@pytest.mark.parametrize("output", ["in", "in/", "./in", "x/../in"])
def test_an_output_that_is_the_input_folder_never_targets_a_photo(output):
    planned = targets(["in/a.jpg", "in/b.heic", "in/b.jpg"], root="in", output=output)
    assert [Path(target).name for target in planned] == ["a_shinkai.jpg", "b_shinkai_2.jpg", "b_shinkai.jpg"]


def test_in_the_input_folder_names_of_other_photos_are_avoided_too():
    planned = targets(["in/a.jpg", "in/a_shinkai.jpg"], root="in", output="in")
    assert planned == ["in/a_shinkai_2.jpg", "in/a_shinkai_shinkai.jpg"]


def test_a_drawing_never_takes_the_name_of_another_photo():
    assert targets(["cat.jpg", "cat_shinkai.jpg"])[0] not in ("cat.jpg", "cat_shinkai.jpg")


stems = st.sampled_from(["a", "A", "b", "a_shinkai", "a_jpg", "a_png", "a_shinkai_2", "é", "e\u0301", "ß", "ss"])
suffixes = st.sampled_from(["", ".dat", ".jpg", ".JPG", ".jpeg", ".png", ".heic"])
photos = st.tuples(st.sampled_from([None, "in", "other/in"]), st.sampled_from(["", "sub/", "Sub/"]), stems, suffixes)


@settings(max_examples=300, deadline=None)
@given(
    photos=st.lists(photos, min_size=1, max_size=12, unique=True),
    output=st.sampled_from([None, "out", "in", "in/sub", ".", "other"]),
    option=st.sampled_from(["same", *FORMATS]),
)
def test_every_photo_gets_a_place_of_its_own_that_is_no_photo(photos, output, option):
    found = [
        Found(Path(root or "", sub + stem + suffix), None if root is None else Path(root))
        for root, sub, stem, suffix in photos
    ]
    jobs = plan_jobs(found, output=None if output is None else Path(output), style="shinkai", format=option)
    assert [job.source for job in jobs] == [photo.path for photo in found]

    def key(path: Path) -> str:
        return unicodedata.normalize("NFC", str(path.absolute())).casefold()

    planned = [key(job.target) for job in jobs]
    assert len(set(planned)) == len(planned)
    assert not set(planned) & {key(photo.path) for photo in found}
    for job in jobs:
        assert job.target.suffix.lower() in FORMATS[job.format].suffixes
        assert option in ("same", job.format)
        if output is not None:
            assert job.target.is_relative_to(output)


@settings(max_examples=100, deadline=None)
@given(order=st.permutations(["a.jpg", "b.png", "sub/a.jpg", "sub/c.webp", "d.heic"]))
def test_where_no_names_clash_the_order_does_not_matter(order):
    paths = [f"in/{name}" for name in order]
    planned = dict(zip(order, targets(paths, root="in", output="out"), strict=True))
    assert planned == {
        "a.jpg": "out/a.jpg",
        "b.png": "out/b.png",
        "sub/a.jpg": "out/sub/a.jpg",
        "sub/c.webp": "out/sub/c.webp",
        "d.heic": "out/d.jpg",
    }


def test_planning_again_after_the_drawings_are_made_gives_the_same_plan(tmp_path):
    touch(tmp_path, "in/a.jpg", "in/a.png", "in/sub/B.heic")
    plans = []
    for _ in range(2):
        found = find_photos([tmp_path / "in"])
        jobs = plan_jobs(found, output=tmp_path / "out", style="s", format="jpg")
        plans.append(jobs)
        touch(tmp_path, *(str(job.target) for job in jobs))
    assert plans[0] == plans[1]


# --- names that are hard to print ---


@pytest.mark.skipif(sys.platform in ("win32", "darwin"), reason="their file names are Unicode")
def test_a_name_that_is_no_unicode_is_found_planned_and_displayed(tmp_path):
    name = os.fsdecode(b"caf\xe9.jpg")
    touch(tmp_path, name)
    found = find_photos([tmp_path])
    assert [photo.path.name for photo in found] == [name]
    (job,) = plan_jobs(found, output=tmp_path / "out", style="s", format="png")
    assert os.fsencode(job.target.name) == b"caf\xe9.png"
    assert display(job.source.name) == "caf?.jpg"


@pytest.mark.skipif(os.name == "nt", reason="Windows file names are Unicode")
def test_messages_about_names_that_are_no_unicode_can_be_printed():
    odd = os.fsdecode(b"caf\xe9.jpg")
    with pytest.raises(UsageError) as missing:
        find_photos([Path(odd)])
    with pytest.raises(UsageError) as output:
        targets(["a.jpg", "b.jpg"], output=odd)
    for caught in (missing, output):
        assert "caf?.jpg" in str(caught.value)
        assert str(caught.value).encode("utf-8")


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("plain name.jpg", "plain name.jpg"),
        ("Zoë 写真.jpg", "Zoë 写真.jpg"),
        ("a\x1b[31mred.jpg", "a?[31mred.jpg"),
        ("line\nbreak\r\t.jpg", "line?break??.jpg"),
        ("gpj.\u202etxt", "gpj.?txt"),
        ("bell\x07\x9b.jpg", "bell??.jpg"),
    ],
)
def test_a_displayed_name_cannot_steer_the_terminal(name, shown):
    assert display(name) == shown
    assert display(Path(name)) == shown


def test_a_glob_that_takes_in_last_runs_drawings_draws_them_not_again(tmp_path: Path) -> None:
    fill(tmp_path, photos=("cat.png",), drawings=("cat_x.png",))
    assert [f.path.name for f in find_photos(sorted(tmp_path.glob("*.png")))] == ["cat.png"]
    assert [f.path.name for f in find_photos([tmp_path / "cat_x.png"])] == ["cat_x.png"]
