"""The database: its schema, its views and macros, how it is opened, and the questions the commands ask.

It knows figures and their history, and nothing of how they were fetched.
"""

from warehouse.connection import reading, writing
from warehouse.migrate import migrate

__all__ = ["migrate", "reading", "writing"]
