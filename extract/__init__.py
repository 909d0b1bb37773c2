"""Getting bytes and keeping them: what KPU can be asked, captures of its answers, the archive, and who else kept some.

This folder knows addresses and bytes, and nothing of what a body means. It imports none of the other folders.
"""

from extract.archive import Archive
from extract.capture import Capture, capture
from extract.endpoints import Endpoint
from extract.recording import record
from extract.sources import FolderSource, GitSource
from extract.verification import verify
from extract.warc import WarcSource

__all__ = ["Archive", "Capture", "Endpoint", "FolderSource", "GitSource", "WarcSource", "capture", "record", "verify"]
