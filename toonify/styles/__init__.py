"""Styles as data: the card (`card.py`), how it is found (`find.py`), what a network takes by it (`frame.py`)."""
