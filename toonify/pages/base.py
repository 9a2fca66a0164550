"""The frame of every page: one HTML file that needs no other, and a policy that keeps everything else out."""

import html
from pathlib import Path
from string import Template

from toonify.pages.embed import policy_hash
from toonify.version import __version__

_FOLDER = Path(__file__).parent


def render(
    title: str,
    body: str,
    *,
    style: str,
    script: str = "",
    attributes: str = "",
    head: str = "",
    policy: str = "",
) -> str:
    """A page with `body`, which is HTML, and the style that all pages have, before its own.

    Its Content-Security-Policy lets nothing in or out but that style and the script, so that no title and no name of a
    file can smuggle one in. `attributes` are of the html element, `head` and `policy` are added to those.
    """
    whole = (_FOLDER / "base.css").read_text(encoding="utf-8") + style
    scripts = f"script-src {policy_hash(script)}; " if script else ""
    more = f"{policy}; " if policy else ""
    return Template((_FOLDER / "base.html").read_text(encoding="utf-8")).substitute(
        title=html.escape(title),
        version=html.escape(__version__),
        body=body,
        style=whole,
        script=f"<script>{script}</script>\n" if script else "",
        attributes=f" {attributes}" if attributes else "",
        head=f"{head}\n" if head else "",
        policy=f"default-src 'none'; img-src data:; style-src {policy_hash(whole)}; {scripts}{more}"
        "base-uri 'none'; form-action 'none'",
    )
