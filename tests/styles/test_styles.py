import json
from pathlib import Path

import msgspec
import pytest

from toonify.errors import StyleError, UsageError
from toonify.models import ARCHITECTURES
from toonify.styles.card import Card, FileWeights, HubWeights, LocatedStyle
from toonify.styles.find import find_style, parse_card, shipped_folder, shipped_styles

CARDS = sorted(shipped_styles())


def test_a_shipped_card_is_found_by_its_id() -> None:
    """Its file bears the id, so that one need not read all cards to find it."""
    for name, style in shipped_styles().items():
        assert find_style(name) == style
        assert (shipped_folder() / f"{name}.json").is_file()


def test_the_four_released_styles_ship() -> None:
    assert set(CARDS) >= {"shinkai", "hayao", "hosoda", "paprika"}


@pytest.mark.parametrize("name", CARDS)
def test_a_shipped_card_keeps_its_promises(name: str) -> None:
    style = shipped_styles()[name]
    card = style.card
    assert (style.folder / f"{name}.json").is_file()
    assert card.license and card.attribution and card.source.startswith("https://")
    for variant in card.variants.values():
        ARCHITECTURES[variant.architecture].build(variant.config)
        assert variant.weights.fingerprint, "weights that are not pinned could be swapped"
        if isinstance(variant.weights, HubWeights):
            assert variant.weights.repository.count("/") == 1


@pytest.mark.parametrize("name", CARDS)
def test_the_pinned_fingerprint_is_that_of_the_published_weights(name: str, test_data: Path) -> None:
    from toonify.networks.checkpoint import load_generator

    variant = shipped_styles()[name].card.variants["original"]
    path = test_data / "hub" / variant.weights.repository / variant.weights.file
    assert sum(p.numel() for p in load_generator(path, variant).parameters()) == 11_129_667


def test_a_card_round_trips_through_json() -> None:
    card = shipped_styles()["shinkai"].card
    assert parse_card(msgspec.json.encode(card), "here") == card


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"color": "blue"}, "color"),
        ({"id": "Not An Id"}, "$.id"),
        ({"variants": {}}, "$.variants"),
        ({"license": None}, "$.license"),
    ],
)
def test_a_wrong_card_is_refused_by_field(change: dict, named: str) -> None:
    card = json.loads(msgspec.json.encode(shipped_styles()["shinkai"].card)) | change
    with pytest.raises(StyleError, match=r"does not describe a style") as caught:
        parse_card(json.dumps(card), "card.json")
    assert named in str(caught.value) and "\n" not in str(caught.value)


def test_a_card_that_is_no_json_is_refused() -> None:
    with pytest.raises(StyleError, match=r"x\.json"):
        parse_card(b"\xff\xfe{", "x.json")


def test_an_unknown_style_lists_the_known_ones() -> None:
    with pytest.raises(UsageError, match=r"shinkai"):
        find_style("sinkai")


def test_an_unknown_variant_lists_the_known_ones() -> None:
    with pytest.raises(UsageError, match=r"choose --variant lite or original"):
        shipped_styles()["shinkai"].variant("light")


def test_a_style_is_found_by_card_run_folder_and_onnx(tiny_run: Path, tiny_onnx: Path) -> None:
    for path in (tiny_run, tiny_run / "tiny.json", tiny_onnx):
        assert find_style(str(path)).card.id == "tiny"


def test_a_missing_path_is_a_usage_error(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no such file"):
        find_style(str(tmp_path / "gone.onnx"))


def test_a_folder_without_one_card_is_a_usage_error(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"expected one \.json"):
        find_style(str(tmp_path))


def test_an_onnx_file_without_a_card_says_where_to_write_one(tmp_path: Path, tiny_onnx: Path) -> None:
    import onnx

    model = onnx.load(tiny_onnx)
    del model.metadata_props[:]
    onnx.save(model, tmp_path / "foreign.onnx")
    with pytest.raises(StyleError, match=r"foreign\.json"):
        find_style(str(tmp_path / "foreign.onnx"))
    (tmp_path / "foreign.json").write_bytes(
        msgspec.json.encode(msgspec.structs.replace(find_style(str(tiny_onnx)).card, id="foreign"))
    )
    assert find_style(str(tmp_path / "foreign.onnx")).card.id == "foreign"


def test_a_damaged_onnx_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "broken.onnx").write_bytes(b"not a network")
    with pytest.raises(StyleError, match=r"broken\.onnx is damaged"):
        find_style(str(tmp_path / "broken.onnx"))


def test_cards_are_immutable() -> None:
    card: Card = shipped_styles()["shinkai"].card
    with pytest.raises(AttributeError):
        card.id = "other"  # type: ignore[misc]


def test_a_pinned_onnx_file_is_checked(tmp_path: Path, tiny_onnx: Path) -> None:
    import hashlib

    from toonify.errors import WeightsError
    from toonify.networks.open import open_generator
    from toonify.networks.verify import verify_weights

    (tmp_path / "net.onnx").write_bytes(tiny_onnx.read_bytes())
    style = find_style(str(tiny_onnx))
    variant = style.card.variants["original"]

    def pinned(digest: str) -> LocatedStyle:
        weights = FileWeights("net.onnx", fingerprint=f"sha256:{digest}")
        changed = msgspec.structs.replace(variant, weights=weights)
        return LocatedStyle(msgspec.structs.replace(style.card, variants={"original": changed}), tmp_path)

    good = pinned(hashlib.sha256(tiny_onnx.read_bytes()).hexdigest())
    assert open_generator(good.variant("original"), device="cpu").device == "cpu"
    for function in (
        lambda s: open_generator(s.variant("original"), device="cpu"),
        lambda s: verify_weights(s.variant("original")),
    ):
        with pytest.raises(WeightsError, match="another file than the style"):
            function(pinned("0" * 64))


def test_a_card_with_the_names_of_an_earlier_version_is_read() -> None:
    card = shipped_styles()["shinkai"].card
    text = msgspec.json.encode(card).replace(b'"license"', b'"licence"').replace(b'"license_note"', b'"licence_note"')
    assert b'"license"' not in text
    assert parse_card(text, "old.json") == card


def test_a_style_is_found_whatever_its_case() -> None:
    assert find_style("Shinkai") == find_style("SHINKAI") == find_style("shinkai")


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("shinky", "style shinky: no such style (is it shinkai?); choose one of hayao, hosoda, paprika, shinkai, or"),
        ("x.onnx", "style x.onnx: no such file; the styles by name are hayao, hosoda, paprika, shinkai"),
        ("runs/mine", "style runs/mine: no such file or folder; the styles by name are hayao"),
    ],
)
def test_a_style_that_is_not_there_is_told_with_the_nearest(name: str, said: str) -> None:
    with pytest.raises(UsageError) as caught:
        find_style(name)
    assert str(caught.value).startswith(said)


def test_shown_is_what_is_known_and_nothing_empty(tiny_run: Path, tmp_path: Path, capsys) -> None:
    from toonify.cli import main

    card = find_style(str(tiny_run)).card
    (tmp_path / "tiny.pth").write_bytes((tiny_run / "tiny.pth").read_bytes())
    unknown = msgspec.structs.replace(card, license="NOASSERTION", attribution="")
    (tmp_path / "tiny.json").write_bytes(msgspec.json.encode(unknown))
    assert main(["styles", "show", str(tmp_path)]) == 0
    said = capsys.readouterr().out
    assert "license   not stated" in said and "NOASSERTION" not in said and "\n  by " not in said


def test_what_was_made_of_a_style_is_removed_and_the_style_stays(tiny_run: Path, capsys) -> None:
    from toonify.cli import main
    from toonify.networks.cache import converted

    style = find_style(str(tiny_run)).variant("original")
    assert main(["styles", "pull", str(tiny_run)]) == 0 and converted(style)
    other = converted(style)[0].with_name("tiny-original-2-cpu-0123456789abcdef.onnx")
    other.touch()
    capsys.readouterr()
    assert main(["styles", "remove", str(tiny_run)]) == 0
    said = capsys.readouterr().out
    assert "tiny (original): 0." in said and "MB removed" in said and "0.0 MB are left in" in said
    assert not converted(style) and other.exists() and style.file.exists()
    assert main(["styles", "remove"]) == 2


def test_the_hint_to_pull_names_what_can_be_pulled(tmp_path: Path) -> None:
    import shlex

    from toonify.networks.load import pull_command

    shipped = shipped_styles()["hayao"]
    assert pull_command(shipped.variant("original")) == "toonify styles pull hayao"
    copy = tmp_path / "hayao.json"
    copy.write_bytes(msgspec.json.encode(shipped.card))
    assert find_style(shlex.split(pull_command(find_style(str(copy)).variant("original")))[-1]).card == shipped.card
