"""`toonify styles`: what there is to draw with, where it comes from, and whether it is what it should be."""

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from toonify.cli.options import QuietOption

if TYPE_CHECKING:
    from toonify.styles.card import LocatedStyle, StyleVariant

app = typer.Typer(help="List, show, fetch and verify the styles.", no_args_is_help=False)

NameArgument = Annotated[str, typer.Argument(metavar="NAME", help="A style's name, or a path as for convert --style.")]
NamesArgument = Annotated[list[str] | None, typer.Argument(metavar="[NAME]...", help="Names of styles.")]


@app.callback(invoke_without_command=True)
def list_styles(context: typer.Context) -> None:
    """List the styles: name, variants, size, license, cached or not."""
    if context.invoked_subcommand is not None:
        return
    from rich.console import Console
    from rich.table import Table

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
    as_json: Annotated[bool, typer.Option("--json", help="Print the card itself.")] = False,
) -> None:
    """Show one style: its makers, its source, and how each variant is drawn."""
    import msgspec

    from toonify.networks.cache import is_cached
    from toonify.styles.find import find_style

    style = find_style(name)
    card = style.card
    if as_json:
        print(msgspec.json.format(msgspec.json.encode(card), indent=2).decode())
        return
    print(f"{card.id}: {card.title}\nby {card.attribution}\nlicense {card.license}, source {card.source}")
    for each in style.variants():
        weights = msgspec.to_builtins(each.variant.weights)
        print(f"\nvariant {each.name} ({'cached' if is_cached(each) else 'not fetched yet'})")
        settings = {**weights, **msgspec.to_builtins(each.variant)}
        del settings["weights"]
        for key, value in settings.items():
            print(f"  {key.replace('_', ' ')}: {value}")


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
    """Check the weights that are on this machine against their cards. Exit code 1 if any is wrong."""
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


def _chosen(names: list[str] | None) -> "list[LocatedStyle]":
    from toonify.styles.find import find_style, shipped_styles

    return [find_style(name) for name in names] if names else list(shipped_styles().values())


def _megabytes(style: "StyleVariant") -> str:
    from toonify.styles.card import HubWeights

    weights = style.variant.weights
    if isinstance(weights, HubWeights):
        return f"{weights.megabytes:.1f} MB"
    return f"{(style.folder / weights.file).stat().st_size / 1e6:.1f} MB"
