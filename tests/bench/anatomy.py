"""Where the time of a first replay goes, phase by phase, in one process that is told to look at its watch.

python anatomy.py BUNDLE DIRECTORY    prints seconds by phase as JSON
"""

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest.mock import patch

from flows import replay
from flows.settings import Settings
from load import loader

PHASES = {
    "archive": "read git, hash, compress, seal the archive",
    "understand": "decode and check every body, write the staging files",
    "123456": "captures, names and tallies with their history",
    "7": "standings, versions and lookups for readers",
    "89": "findings by twenty rules, commit",
    "publish": "copy for readers",
    "parquet": "Parquet files of every view",
}


def seconds(bundle: Path, directory: Path) -> dict[str, float]:
    """Seconds of each phase; a phase ends where the next begins."""
    marks: list[tuple[str, float]] = []

    def note(phase: str) -> None:
        marks.append((next(text for key, text in PHASES.items() if phase in key), time.perf_counter()))

    def noted(phase: str, work: Callable[..., Any]) -> Callable[..., Any]:
        def begin(*arguments: Any, **options: Any) -> Any:
            note(phase)
            return work(*arguments, **options)

        return begin

    class Script:
        def __init__(self, path: Path) -> None:
            self.path = path

        def read_text(self, encoding: str) -> str:
            note(self.path.name[0])
            return self.path.read_text(encoding)

    with (
        patch.object(replay, "bring_up_to_date", noted("understand", replay.bring_up_to_date)),
        patch.object(replay, "publish", noted("publish", replay.publish)),
        patch.object(replay, "publish_parquet", noted("parquet", replay.publish_parquet)),
        patch.object(loader, "_SCRIPTS", [Script(path) for path in loader._SCRIPTS]),
    ):
        note("archive")
        replay.replay_git(Settings(directory), bundle)
    ends = [moment for _, moment in marks[1:]] + [time.perf_counter()]
    spent = dict.fromkeys(PHASES.values(), 0.0)
    for (phase, begun), ended in zip(marks, ends, strict=True):
        spent[phase] += ended - begun
    return spent


if __name__ == "__main__":
    print(json.dumps(seconds(Path(sys.argv[1]), Path(sys.argv[2]))))
