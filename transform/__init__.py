"""What bytes mean: a pure function from a capture to the figures it states, or to the reason why it states none.

No clock, no network, no database: the same capture reads the same in any year. It imports only extract.
"""

from transform.model import Candidate, Document, Quarantine, ReportingUnit, StationForm, Tally
from transform.normalise import read

__all__ = ["Candidate", "Document", "Quarantine", "ReportingUnit", "StationForm", "Tally", "read"]
