"""Faces: YuNet sees what OpenCV's own detector sees; near and far ones are found, and none where there are none."""

import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np
import pytest
from hub_server import HubHandler, serve
from PIL import Image
from samples import PHOTOS

from toonify.checkpoints.hub import cached
from toonify.drawing.faces import Face, FaceFinder, find_faces
from toonify.drawing.yunet import WEIGHTS, YuNet, fetch_yunet, for_any_size, ready_yunet
from toonify.errors import DownloadError, UsageError, WeightsError
from toonify.pixels.boxes import Box

GIRL, BAND, ORCHESTRA = "eval/33.jpg", "train/0959.jpg", "train/0931.jpg"


@pytest.fixture(scope="module")
def yunet(yunet_file: Path) -> YuNet:
    return YuNet(for_any_size(yunet_file))


@pytest.fixture(scope="module")
def finder(yunet: YuNet) -> FaceFinder:
    return FaceFinder(yunet)


def pixels(path: Path) -> np.ndarray:
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB"))


def places(face: Face) -> np.ndarray:
    """The five points: 5 x 2."""
    points = (face.right_eye, face.left_eye, face.nose, face.right_mouth, face.left_mouth)
    return np.array([(point.x, point.y) for point in points])


def corners(face: Face) -> np.ndarray:
    return np.array([face.box.left, face.box.top, face.box.right, face.box.bottom])


@pytest.mark.parametrize("name", [GIRL, BAND, ORCHESTRA])
def test_yunet_sees_what_opencvs_own_detector_sees(yunet: YuNet, yunet_file: Path, test_data: Path, name: str) -> None:
    photo = pixels(test_data / "photos" / name)
    height, width = photo.shape[:2]
    detector = cv2.FaceDetectorYN.create(str(yunet_file), "", (width, height), score_threshold=0.6, nms_threshold=0.3)
    _, expected = detector.detect(np.ascontiguousarray(photo[..., ::-1]))
    rows = yunet(photo, 0.6)
    kept = cv2.dnn.NMSBoxes(rows[:, :4].tolist(), rows[:, -1].tolist(), 0.6, 0.3)
    found = rows[np.asarray(kept).ravel()]
    assert len(found) == len(expected) > 0
    assert np.allclose(found, expected, atol=0.01)


def test_a_face_that_fills_the_photo_is_found(finder: FaceFinder, test_data: Path) -> None:
    (face,) = finder(pixels(test_data / "photos" / GIRL))
    height, width = face.box.size
    assert 350 < height < 450 and 280 < width < 380 and face.score > 0.8
    assert abs(places(face) - [(467, 154), (631, 160), (559, 256), (482, 326), (608, 326)]).max() < 20  # by eye


def test_far_faces_are_found(finder: FaceFinder, test_data: Path) -> None:
    faces = finder(pixels(test_data / "photos" / ORCHESTRA))
    assert len(faces) >= 15
    assert all(8 <= face.box.size[0] <= 16 for face in faces)


def test_near_and_far_faces_of_a_photo_come_the_largest_first(finder: FaceFinder, test_data: Path) -> None:
    faces = finder(pixels(test_data / "photos" / BAND))
    areas = [face.box.size[0] * face.box.size[1] for face in faces]
    assert len(faces) >= 6 and areas == sorted(areas, reverse=True) and areas[0] > 20 * areas[-1]


@pytest.mark.parametrize("photo", sorted(PHOTOS.glob("*.jpg")), ids=lambda path: path.stem)
def test_no_face_is_found_where_there_is_none(finder: FaceFinder, photo: Path) -> None:
    assert finder(pixels(photo)) == []


@pytest.mark.parametrize("name", ["eval/01.jpg", "eval/10.jpg", "eval/29.jpg", "train/0833.jpg", "train/0836.jpg"])
def test_what_passes_for_a_face_at_one_size_only_is_none(finder: FaceFinder, test_data: Path, name: str) -> None:
    """Blossoms, lemons and kiwis, some of which YuNet gives 0.8 of 1."""
    assert finder(pixels(test_data / "photos" / name)) == []


@pytest.mark.parametrize("size", [(1, 1), (1, 700), (9, 9), (31, 33), (40, 6000), (3000, 8)])
def test_pictures_of_any_size_are_searched(finder: FaceFinder, size: tuple[int, int]) -> None:
    assert finder(np.random.default_rng(0).integers(0, 256, (*size, 3), dtype=np.uint8)) == []


@pytest.mark.parametrize("factor", [0.5, 3.0])
def test_a_larger_or_smaller_copy_has_the_same_faces(finder: FaceFinder, test_data: Path, factor: float) -> None:
    photo = pixels(test_data / "photos" / GIRL)
    (face,) = finder(photo)
    (other,) = finder(cv2.resize(photo, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA))
    assert abs(places(other) / factor - places(face)).max() < 8
    assert abs(corners(other) / factor - corners(face)).max() < 16


def test_a_mirrored_photo_has_mirrored_faces(finder: FaceFinder, test_data: Path) -> None:
    photo = pixels(test_data / "photos" / GIRL)
    (face,) = finder(photo)
    (other,) = finder(np.ascontiguousarray(photo[:, ::-1]))
    mirrored = places(other)[[1, 0, 2, 4, 3]]
    mirrored[:, 0] = photo.shape[1] - mirrored[:, 0]
    assert abs(mirrored - places(face)).max() < 6


def test_faces_move_with_the_photo_and_stay_inside_it(finder: FaceFinder, test_data: Path) -> None:
    photo = pixels(test_data / "photos" / GIRL)
    (face,) = finder(photo)
    (moved,) = finder(photo[1:, 3:])
    assert abs(places(moved) + np.array([3, 1]) - places(face)).max() < 4
    for cut in (photo[200:], photo[:, :520], photo[:, 500:]):
        inside = Box(0, 0, *cut.shape[:2])
        assert all(face.box.common(inside) == face.box for face in finder(cut))


def test_threads_may_share_a_finder_and_find_the_same(finder: FaceFinder, test_data: Path) -> None:
    photos = [pixels(test_data / "photos" / name) for name in (GIRL, BAND, ORCHESTRA)] * 4
    one_by_one = [finder(photo) for photo in photos]
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(finder, photos)) == one_by_one


@pytest.mark.parametrize("wrong", [np.zeros((8, 8, 3)), np.zeros((8, 8), np.uint8), np.zeros((0, 8, 3), np.uint8)])
def test_other_arrays_are_refused(finder: FaceFinder, wrong: np.ndarray) -> None:
    with pytest.raises(UsageError, match="H x W x 3 uint8"):
        finder(wrong)


# Where the network comes from


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[type[HubHandler]]:
    """A hub on loopback with the network's repository, still empty."""
    (tmp_path / WEIGHTS.repository).mkdir(parents=True)
    with serve(tmp_path) as (address, handler):
        monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
        connect(address, monkeypatch)
        yield handler


def connect(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", address)
    template = address + "/{repo_id}/resolve/{revision}/{filename}"
    monkeypatch.setattr("huggingface_hub.constants.HUGGINGFACE_CO_URL_TEMPLATE", template)


def put(hub: type[HubHandler], file: Path) -> None:
    shutil.copyfile(file, hub.folder / WEIGHTS.repository / WEIGHTS.file)


def test_the_network_is_fetched_once_and_then_serves_without_a_hub(
    hub: type[HubHandler], yunet_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(hub, yunet_file)
    photo = pixels(next(PHOTOS.glob("*.jpg")))
    assert find_faces(photo) == []
    count = len(hub.requests)
    assert count and all(WEIGHTS.revision in request for request in hub.requests if "resolve" in request)
    connect("http://127.0.0.1:9", monkeypatch)
    assert find_faces(photo) == []
    assert len(hub.requests) == count


def test_what_was_made_ready_is_kept_and_made_anew_when_it_is_damaged(
    hub: type[HubHandler], yunet_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(hub, yunet_file)
    made = ready_yunet()
    assert isinstance(made, Path)
    assert made.read_bytes() == for_any_size(yunet_file)
    count = len(hub.requests)
    assert ready_yunet() == made
    assert len(hub.requests) == count
    made.write_bytes(b"half of it")
    assert find_faces(np.zeros((8, 8, 3), np.uint8)) == []
    assert made.read_bytes() == for_any_size(yunet_file)


def test_where_nothing_can_be_kept_faces_are_found_all_the_same(
    hub: type[HubHandler], yunet_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def write(*_: object, **__: object) -> None:
        raise PermissionError

    put(hub, yunet_file)
    monkeypatch.setattr("toonify.drawing.yunet.write_atomically", write)
    assert ready_yunet() == for_any_size(yunet_file)
    assert find_faces(np.zeros((8, 8, 3), np.uint8)) == []


def test_another_file_than_the_published_one_is_refused_and_not_kept(hub: type[HubHandler], tmp_path: Path) -> None:
    other = tmp_path / "other.onnx"
    other.write_bytes(b"another network")
    put(hub, other)
    with pytest.raises(WeightsError, match="is not the published network; it was taken out of the cache"):
        fetch_yunet()
    assert cached(WEIGHTS) is None


def test_a_hub_without_the_network_is_told_in_a_line(hub: type[HubHandler]) -> None:
    with pytest.raises(DownloadError, match=r"face_detection_yunet_2023mar\.onnx is not on"):
        find_faces(np.zeros((8, 8, 3), np.uint8))


def test_without_a_network_the_line_says_what_to_do(hub: type[HubHandler], monkeypatch: pytest.MonkeyPatch) -> None:
    connect("http://127.0.0.1:9", monkeypatch)
    with pytest.raises(DownloadError, match="cannot be reached; connect once and run the same command again") as caught:
        find_faces(np.zeros((8, 8, 3), np.uint8))
    assert "\n" not in str(caught.value)


def test_offline_mode_is_named() -> None:
    with pytest.raises(DownloadError, match="HF_HUB_OFFLINE is set"):
        find_faces(np.zeros((8, 8, 3), np.uint8))
