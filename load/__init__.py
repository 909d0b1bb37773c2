"""Putting what captures state into the database, and publishing it for readers.

The database is a function of the set of captures: their order, their batches and repetitions do not matter.
"""

from load.loader import LoadReport, load
from load.parquet import publish_parquet
from load.publish import publish

__all__ = ["LoadReport", "load", "publish", "publish_parquet"]
