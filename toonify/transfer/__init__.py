"""Styles from pictures: a picture, or several blended, becomes a style like any other, with a card and weights."""

from toonify.transfer.networks import OPTIMIZED
from toonify.transfer.pictures import PictureOptions, is_picture, style_of_pictures

__all__ = ["OPTIMIZED", "PictureOptions", "is_picture", "style_of_pictures"]
