"""The page of a survey: one HTML file that needs nothing else and asks nobody for anything."""

import base64
import html
import re
from collections.abc import Iterable
from pathlib import Path
from string import Template

import msgspec

from toonify.errors import UsageError, display
from toonify.pages.base import render
from toonify.study.plan import Plan
from toonify.system.json_data import decode_json

PAGE_NAME = "index.html"
_FOLDER = Path(__file__).parent

# What distinguishes a page that may send answers to where it came from: `toonify study serve` turns one into the other.
_ALONE = ('data-collects="no"', "connect-src 'none'")
_COLLECTING = ('data-collects="yes"', "connect-src 'self'")
_PLAN = re.compile(r'<script type="application/json" id="plan">(.*?)</script>', re.DOTALL)


def render_page(plan: Plan, pictures: Iterable[tuple[str, bytes]]) -> str:
    """The page, with pictures as (id, JPEG): `q3r` is the reference of question 3, `q3p0` its picture 0."""
    parts = {name: (_FOLDER / name).read_text(encoding="utf-8") for name in ("page.html", "page.css", "page.js")}
    blocks = (
        f'<script type="text/plain" id="{name}">{base64.b64encode(data).decode()}</script>' for name, data in pictures
    )
    body = Template(parts["page.html"]).substitute(
        title=html.escape(plan.title),
        # A data block ends at the first "</script"; JSON may write its < otherwise.
        plan=msgspec.json.encode(plan).decode().replace("<", "\\u003c"),
        pictures="\n".join(blocks),
    )
    return render(
        plan.title,
        body,
        style=parts["page.css"],
        script=parts["page.js"],
        attributes=_ALONE[0],
        head='<meta name="robots" content="noindex">',
        policy=_ALONE[1],
    )


def read_plan(page: str, where: Path) -> Plan:
    """The plan that a page carries; `where` names it in the UsageError that any other page raises."""
    found = _PLAN.search(page)
    try:
        if found is None or not all(mark in page for mark in _ALONE):
            raise ValueError("it carries no plan")
        return decode_json(found[1], type=Plan)
    except (ValueError, RecursionError) as error:  # msgspec's own among them
        # It may quote names from the page, which are whatever somebody wrote there.
        reason = display(str(error))[:200]
        raise UsageError(f"{display(where)} is no survey by `toonify study build`: {reason}") from error


def collecting_page(page: str) -> str:
    """The page as a collector serves it: it offers to send the answers, and may send them there alone."""
    for alone, collecting in zip(_ALONE, _COLLECTING, strict=True):
        page = page.replace(alone, collecting, 1)  # the first is in the head; a title may have the same words
    return page
