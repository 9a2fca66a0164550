"""The schema of a training run: limits, names, config files, and what they mean for a method."""

import subprocess
import sys
from dataclasses import asdict, fields
from typing import Any, get_args

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from toonify.errors import UsageError
from toonify.methods import METHODS, Arch
from toonify.train.options import Options, describe_limits, flag, make_options, read_config
from toonify.train.settings import forbidden_changes, method_settings

FIELDS = {field.name: field for field in msgspec.structs.fields(Options)}


def options(**values: Any) -> Options:
    return make_options({"arch": "cartoongan", **values})


def test_the_options_know_nothing_of_torch() -> None:
    script = "import sys, toonify.train.options, toonify.cli.train; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", script]).returncode == 0


@pytest.mark.parametrize("name", FIELDS)
def test_every_option_says_what_it_is(name: str) -> None:
    help_text = next(
        meta.description for meta in FIELDS[name].type.__metadata__ if isinstance(meta, msgspec.Meta) and meta.extra
    )
    assert help_text.endswith(".") and len(help_text) < 110


def test_what_methods_are_told_are_options() -> None:
    told = {field.name for arch in get_args(Arch) for field in fields(METHODS[arch].settings_type)}
    assert told <= FIELDS.keys() and FIELDS.keys() >= Options.changeable


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"width": 0}, "--width 0: give a whole number from 1 to 1024"),
        ({"width": "wide"}, "--width wide: give a whole number from 1 to 1024"),
        ({"width": True}, "--width True: give a whole number from 1 to 1024"),
        ({"steps": 10**10}, "--steps 10000000000: give a whole number from 1 to 1000000000"),
        ({"seed": -1}, "--seed -1: give a whole number from 0 to 4294967295"),
        ({"learning_rate": 0}, "--learning-rate 0: give a number above 0 to 1"),
        ({"learning_rate": float("nan")}, "--learning-rate nan: give a number above 0 to 1"),
        ({"content_weight": float("inf")}, "--content-weight inf: give a number from 0 to 1000000"),
        ({"ema": 1.0}, "--ema 1.0: give a number from 0 below 1"),
        ({"norm": "group"}, "--norm group: give one of batch, instance, layer"),
        ({"arch": "biggan"}, "--arch biggan: give one of cartoongan, cartoongan-improved, cyclegan"),
        ({"spectral_norm": "maybe"}, "--spectral-norm maybe: give true or false"),
        ({"photos": 3}, "--photos 3: give text"),
        ({"epochs": None}, "--epochs None: give a whole number from 1 to 100000"),
        ({"lerning_rate": 1}, "lerning_rate is no option of train (is it learning_rate?)"),
        ({"photos\x1b[2J": 1}, "photos?[2J is no option of train"),
        ({"xyz": 1}, "xyz is no option of train; `toonify train --help` lists them"),
    ],
)
def test_a_value_that_cannot_be_names_its_option_and_the_limits(values: dict[str, Any], said: str) -> None:
    with pytest.raises(UsageError) as caught:
        options(**values)
    assert str(caught.value).startswith(said)


def test_arch_is_needed() -> None:
    with pytest.raises(UsageError, match="--arch is missing; choose one of cartoongan"):
        make_options({})


@settings(max_examples=100, deadline=None)
@given(st.sampled_from(sorted(FIELDS)), st.one_of(st.integers(), st.floats(), st.text(max_size=9), st.booleans()))
def test_any_value_is_taken_or_refused_in_one_line(name: str, value: object) -> None:
    try:
        taken = options(**{name: value})
    except UsageError as error:
        assert "\n" not in str(error) and str(error).startswith(flag(name)) and ": give " in str(error)
    else:
        assert make_options(msgspec.to_builtins(taken)) == taken  # as a checkpoint keeps it


def test_limits_in_words() -> None:
    assert describe_limits(FIELDS["size"].type) == "a whole number from 16 to 8192"
    assert describe_limits(FIELDS["title"].type) == "text"


# --- config files ---

TOML = b'arch = "cyclegan"\nbatch-size = 4\nlearning_rate = 1e-4\nspectral-norm = true\n'
YAML = b"arch: cyclegan\nbatch-size: 4\nlearning_rate: 1e-4  # text, for YAML 1.1\nspectral_norm: true\nclip: null\n"


@pytest.mark.parametrize(("text", "name"), [(TOML, "a.toml"), (YAML, "a.yaml"), (YAML, "A.YML")])
def test_a_config_file_is_toml_or_yaml(text: bytes, name: str) -> None:
    made: Options = make_options(read_config(text, name))
    assert made == Options(arch="cyclegan", batch_size=4, learning_rate=1e-4, spectral_norm=True)


@pytest.mark.parametrize(
    ("text", "name", "said"),
    [
        (b"arch = ", "a.toml", "--config a.toml: "),
        (b"arch: [", "a.yaml", "--config a.yaml: "),
        (b"\xff\xfe", "a.toml", "--config a.toml: "),
        (b"\xff\xfe\x00", "a.yaml", "--config a.yaml: "),
        (b"- arch", "a.yaml", "--config a.yaml: expected one `option: value` a line"),
        (b"", "a.yaml", "--config a.yaml: expected one `option: value` a line"),
        (b"{}", "a.json", "--config a.json: give a file that ends in .toml, .yaml or .yml"),
        (b"", "toml", "--config toml: give a file that ends in .toml, .yaml or .yml"),
    ],
)
def test_a_config_file_that_cannot_be_read_is_one_line(text: bytes, name: str, said: str) -> None:
    with pytest.raises(UsageError) as caught:
        read_config(text, name)
    assert str(caught.value).startswith(said) and "\n" not in str(caught.value)


# --- what options mean for a method ---


def test_what_is_left_open_is_as_the_method_has_it() -> None:
    assert method_settings(options()).batch_size == 8
    assert method_settings(options(batch_size=3)).batch_size == 3
    assert asdict(method_settings(make_options({"arch": "cyclegan"})))["identity_weight"] == 0.5
    assert method_settings(options(objective="wgan")).learning_rate == 5e-5
    assert method_settings(options(objective="wgan", learning_rate=1e-3)).learning_rate == 1e-3
    assert asdict(method_settings(options(edge_promoting=False)))["edge_promoting"] is False


@pytest.mark.parametrize(
    ("arch", "values", "said"),
    [
        ("cartoongan", {"cycle_weight": 1}, "--cycle-weight is not for cartoongan; it is for cyclegan, ugatit"),
        ("cyclegan", {"depth": 3}, "--depth is not for cyclegan; it is for pix2pix"),
        ("pix2pix", {"light": False}, "--light is not for pix2pix; it is for ugatit"),
        ("cyclegan", {"content_weights": "x.pth"}, "--content-weights is for --content-weight or --init-epochs"),
        ("cyclegan", {"content": "vgg16"}, "--content is for --content-weight or --init-epochs"),
        ("cartoongan", {"objective": "wgan", "beta1": 0.5}, "--beta1 is Adam's, and --objective wgan trains with RMSP"),
    ],
)
def test_an_option_without_effect_is_refused(arch: str, values: dict[str, Any], said: str) -> None:
    with pytest.raises(UsageError) as caught:
        method_settings(make_options({"arch": arch, **values}))
    assert str(caught.value).startswith(said)


# --- what a resumed run may change ---


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"learning_rate": 1e-3}, ["--learning-rate 0.001 (it has 0.0002)"]),
        ({"batch_size": "4", "seed": 1}, ["--batch-size 4 (it has 8)", "--seed 1 (it has 0)"]),
        ({"arch": "cyclegan", "cycle_weight": 1}, ["--arch cyclegan (it has cartoongan)"]),
        ({"batch_size": 8, "learning_rate": "2e-4"}, []),  # as the method has it anyway
        ({"epochs": 300, "steps": 7, "keep": 9, "eval_every": 1, "title": "Mine", "accumulate": 4}, []),
    ],
)
def test_what_would_change_the_training_cannot_be_given_anew(asked: dict[str, Any], said: list[str]) -> None:
    assert forbidden_changes(options(), asked, options(**asked)) == said


def test_former_names_of_options_are_read_and_todays_win() -> None:
    made: Options = make_options({"arch": "cartoongan", "licence": "MIT"})
    assert made.license == "MIT"
    assert make_options({"arch": "cartoongan", "licence": "MIT", "license": "CC0-1.0"}).license == "CC0-1.0"
    assert read_config(b'licence = "MIT"\noptimiser = "adam"', "a.toml") == {"license": "MIT", "optimizer": "adam"}
