"""`toonify styles`: what there is to draw with, where it comes from, and whether it is what it should be."""

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from toonify.cli.help import App
from toonify.cli.options import QuietOption, complete_style
from toonify.styles.card import UNKNOWN_LICENSE

if TYPE_CHECKING:
    from toonify.styles.card import LocatedStyle, StyleVariant

app = App(help="List, show, fetch, verify and remove the styles.", no_args_is_help=False)

NameArgument = Annotated[
    str,
    typer.Argument(
        metavar="NAME", help="A style's name, or a path as for convert --style.", autocompletion=complete_style
    ),
]
NamesArgument = Annotated[
    list[str] | None,
    typer.Argument(metavar="[NAME]...", help="Names of styles.", autocompletion=complete_style),
]


@app.callback(invoke_without_command=True)
def list_styles(context: typer.Context) -> None:
    """List the styles: name, variants, size, license, cached or not."""
    if context.invoked_subcommand is None:
        print_styles()


@app.command("list")
def print_styles() -> None:
    """List the styles: name, variants, size, license, cached or not."""
    from rich.table import Table

    from toonify.cli.console import Console
    from toonify.networks.cache import is_cached
    from toonify.styles.find import shipped_styles

    table = Table("name", "variant", "size", "license", "cached", "title", box=None, pad_edge=False)
    for style in shipped_styles().values():
        for variant in style.variants():
            cached, card = "yes" if is_cached(variant) else "no", variant.card
            table.add_row(card.id, variant.name, _megabytes(variant), card.license, cached, card.title)
    # Into a pipe or a file, lines are whole whatever their length.
    Console(width=None if sys.stdout.isatty() else 200).print(table)


@app.command("show")
def show(
    name: NameArgument,
    as_json: Annotated[bool, typer.Option("--json", help="Print all that toonify knows of the style.")] = False,
) -> None:
    """Show one style: what it looks like, who made it, and what there is of it on this machine."""
    import msgspec

    from toonify.networks.cache import is_cached
    from toonify.styles.describe import describe_look
    from toonify.styles.find import find_any, from_noise, from_pictures

    style = find_any(name)
    card = style.card
    if as_json:
        print(msgspec.json.format(msgspec.json.encode(card), indent=2).decode())
        return
    unknown = card.license == UNKNOWN_LICENSE
    facts = {
        "looks": "" if from_noise(style) or from_pictures(style) else describe_look(card.look),
        "by": card.attribution,
        "license": "not stated" if unknown else card.license,
        "source": card.source,
        "note": card.license_note,
    }
    print(f"{card.id}: {card.title}")
    for what, told in facts.items():
        if told:
            print(f"  {what:10}{told}")
    for number, each in enumerate(style.variants()):
        state = "on this machine" if is_cached(each) else "to be fetched once"
        size = each.variant.size
        drawn = "at full size" if size is None else f"at up to {size} px"
        if from_noise(style):
            drawn = "pictures from noise"
        first = ", preferred" if number == 0 and len(card.variants) > 1 else ""
        print(f"  {each.name:10}{_megabytes(each)}, {state}{first}; draws {drawn}")
    command = f"generate {name}" if from_noise(style) else f"convert PHOTO --style {name}"
    if from_pictures(style):
        command = f"convert PHOTO --style PICTURE --style-network {name}"
    print(f"  try       toonify {command}")


@app.command("pull")
def pull(
    names: NamesArgument = None,
    every: Annotated[bool, typer.Option("--all", help="All styles.")] = False,
    quiet: QuietOption = False,
) -> None:
    """Fetch styles and make them ready, so that they draw without a network from then on."""
    from toonify.engines.choose import choose_device
    from toonify.errors import UsageError
    from toonify.networks.ready import onnx_file

    if bool(names) == every:
        raise UsageError("name the styles to pull, or give --all")
    for style in _chosen(names):
        for variant in style.variants():
            path = onnx_file(variant, choose_device("auto", "onnx"))
            if not quiet:
                print(f"{variant.label}: {path}")


@app.command("verify")
def verify(names: NamesArgument = None) -> int:
    """Check the weights that are on this machine against what their styles say. Exit code 1 if any is wrong."""
    from toonify.errors import StyleError
    from toonify.networks.cache import is_cached
    from toonify.networks.verify import verify_weights

    wrong = 0
    for style in _chosen(names):
        for variant in style.variants():
            if not is_cached(variant):
                print(f"{variant.label}: not fetched yet")
                continue
            try:
                print(f"{variant.label}: good, {verify_weights(variant)}")
            except StyleError as error:
                wrong += 1
                print(f"{variant.label}: WRONG: {error}", file=sys.stderr)
    return 1 if wrong else 0


@app.command("licence", hidden=True)  # its name in toonify 0.1.0
@app.command("license")
def print_license(names: NamesArgument = None) -> None:
    """Print the license, the makers and the source of the styles."""
    for style in _chosen(names):
        card = style.card
        print(f"{card.id}: {card.license}\n  {card.attribution}\n  {card.source}")
        if card.license_note:
            print(f"  {card.license_note}")


@app.command("remove")
def remove(
    names: NamesArgument = None,
    every: Annotated[bool, typer.Option("--all", help="All styles.")] = False,
    quiet: QuietOption = False,
) -> None:
    """Remove what was fetched and made of styles from this machine; `styles pull` brings it back."""
    from toonify.checkpoints.hub import cache_folder
    from toonify.errors import UsageError, display
    from toonify.networks.cache import remove_cached

    if bool(names) == every:
        raise UsageError("name the styles to remove, or give --all")
    for style in _chosen(names):
        for variant in style.variants():
            freed = remove_cached(variant)
            if not quiet:
                told = f"{freed / 1e6:.1f} MB removed" if freed else "nothing to remove"
                print(f"{variant.label}: {told}")
    if not quiet:
        left = sum(path.stat().st_size for path in cache_folder().rglob("*") if path.is_file())
        print(f"{left / 1e6:.1f} MB are left in {display(cache_folder())}")


def _chosen(names: list[str] | None) -> "list[LocatedStyle]":
    from toonify.styles.find import find_style, shipped_styles

    return [find_style(name) for name in names] if names else list(shipped_styles().values())


def _megabytes(style: "StyleVariant") -> str:
    from toonify.styles.card import HubWeights

    weights = style.variant.weights
    if isinstance(weights, HubWeights):
        return f"{weights.megabytes:.1f} MB"
    return f"{(style.folder / weights.file).stat().st_size / 1e6:.1f} MB"
