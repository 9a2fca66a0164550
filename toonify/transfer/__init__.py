"""Styles from pictures: a picture, or several blended, becomes a style like any other, with a card and weights."""

from toonify.transfer.pictures import GATYS, PictureOptions, is_picture, style_of_pictures

__all__ = ["GATYS", "PictureOptions", "is_picture", "style_of_pictures"]
