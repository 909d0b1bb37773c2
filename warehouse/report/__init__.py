"""The report: one HTML page that holds its figures, its words in two languages and everything else it needs.

It reads the published database and knows no clock; the page it writes asks nobody for anything.
"""

from warehouse.report.page import report
from warehouse.report.speech import LANGUAGES, Language

__all__ = ["LANGUAGES", "Language", "report"]
