"""The version of toonify."""

__version__ = "0.1.0"
