"""Putting what captures state into the database, a function of their set alone, and publishing it."""

from load.loader import LoadReport, load
from load.publish import publish

__all__ = ["LoadReport", "load", "publish"]
