"""Cards and names that somebody else has written."""

import json
import os
from pathlib import Path
from typing import Any

import msgspec
import pytest

from toonify.checkpoints import hub
from toonify.errors import StyleError, UsageError
from toonify.networks.cache import cached_onnx
from toonify.networks.checkpoint import load_generator
from toonify.styles.card import FileWeights, HubWeights, LocatedStyle, Variant
from toonify.styles.find import find_style, parse_card, read_card, shipped_styles
from toonify.system.files import below, is_plain_name
from toonify.system.json_data import decode_json


def card(**variant: Any) -> dict[str, Any]:
    name = variant.pop("name", "one")
    whole = {"weights": {"from": "file", "file": "a.onnx"}, "architecture": "lite", **variant}
    return {"id": "a", "title": "", "license": "", "attribution": "", "source": "", "variants": {name: whole}}


def test_a_sound_card_is_read() -> None:
    assert parse_card(json.dumps(card()), "here").variants.keys() == {"one"}


@pytest.mark.parametrize("name", ["../../x", "a/b", "a\nb", "a\x1b[2Jb", "", "A", "a" * 101, "one\n"])
def test_a_variant_is_named_as_a_style_is(name: str) -> None:
    with pytest.raises(StyleError, match="does not describe a style"):
        parse_card(json.dumps(card(name=name)), "here")
    with pytest.raises(StyleError, match="does not describe a style"):
        parse_card(json.dumps({**card(), "id": name}), "here")


@pytest.mark.parametrize(
    "change",
    [
        {"padding": 10**9},
        {"multiple": 10**9},
        {"minimum": 10**9},
        {"size": 10**12},
        {"bytes_per_pixel": 10**15},
        {"saturation": 1e300},
        {"config": {"blocks": 10**9}},
    ],
)
def test_absurd_numbers_are_refused(change: dict[str, Any]) -> None:
    with pytest.raises(StyleError, match="does not describe a style"):
        parse_card(json.dumps(card(**change)), "here")


def test_a_network_that_is_much_larger_than_its_weights_is_not_built(tmp_path: Path) -> None:
    import safetensors.torch
    import torch

    safetensors.torch.save_file({"a": torch.zeros(8)}, tmp_path / "a.safetensors")
    variant = Variant(FileWeights("a.safetensors"), "lite", config={"blocks": 4000, "width": 4000})
    with pytest.raises(StyleError, match="does not fit the architecture lite"):
        load_generator(tmp_path / "a.safetensors", variant)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes with names here")
def test_a_pipe_is_no_card(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "card.json")
    with pytest.raises(StyleError, match="is no file"):
        read_card(tmp_path / "card.json")
    for name in (tmp_path, tmp_path / "card.json"):
        with pytest.raises(UsageError):
            find_style(str(name))


def test_a_file_of_megabytes_is_no_card(tmp_path: Path) -> None:
    (tmp_path / "card.json").write_bytes(b" " * (5 << 20))
    with pytest.raises(StyleError, match="longer than"):
        read_card(tmp_path / "card.json")


@pytest.mark.parametrize("text", [b'{"id": "\xff"}', b"\xff\xfe"])
def test_json_that_is_no_utf8_is_named(text: bytes) -> None:
    with pytest.raises(msgspec.DecodeError):
        decode_json(text)
    with pytest.raises(StyleError, match="does not describe a style"):
        parse_card(text, "here")


def test_json_that_is_nested_too_deeply_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def too_deep(*_arguments: object, **_options: object) -> None:
        raise RecursionError

    monkeypatch.setattr(msgspec.json, "decode", too_deep)
    with pytest.raises(StyleError, match="here does not describe a style: it is nested too deeply"):
        parse_card("[]", "here")


@pytest.mark.parametrize("name", ["../a", "/etc/a", "a/../b", "a//b", "a\\..\\b", "C:a", "", ".", "a\nb", "a\x1b"])
def test_a_name_that_leads_elsewhere_is_no_path(name: str, tmp_path: Path) -> None:
    assert not is_plain_name(name)
    with pytest.raises(StyleError, match="is no name of a file below"):
        below(tmp_path, name)
    located = LocatedStyle(msgspec.convert(card(weights={"from": "file", "file": name}), type(_any_card())), tmp_path)
    with pytest.raises(StyleError, match="is no name of a file below"):
        _ = located.variant().file
    with pytest.raises(StyleError, match="mend the card"):
        hub.cached(HubWeights(repository="a/b", file=name, fingerprint="", megabytes=1))


def test_names_in_folders_are_paths(tmp_path: Path) -> None:
    assert below(tmp_path, "more/é 1.png") == tmp_path / "more" / "é 1.png"
    for style in shipped_styles().values():
        for variant in style.variants():
            assert cached_onnx(variant, "cpu").parent.name == "onnx"


def _any_card() -> Any:
    return next(iter(shipped_styles().values())).card
