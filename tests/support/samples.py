"""Pictures that are in the repository: small, and credited beside them."""

from pathlib import Path

DATA = Path(__file__).parents[1] / "data"
PHOTOS = DATA / "photos"
DRAWN = DATA / "drawn"  # the middles of what the original networks draw of photos, by style
