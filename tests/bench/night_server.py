"""The stand-in for KPU of `national.py`: a simulated night of the country, served by a process of its own.

It stands still at a publication until it is told to go on: a line of JSON on stdin, one on stdout in answer. It counts
from the source's side what was asked and what of it was news.
"""

import asyncio
import json
import resource
import sys
from collections import Counter
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec

from extract.national import NationalNight, NationalSimulation
from extract.request_log import RequestLog
from extract.server import Document, SimulatedSource, serving
from extract.simulator import Depth

AFTER = timedelta(seconds=20)  # a crawler looks a little after a publication


class Watched:
    """A source that counts what is asked, and what of it says something else than the last time at that address."""

    def __init__(self, source: SimulatedSource) -> None:
        self.span, self.label, self.like = source.span, source.label, source.like
        self.counts: Counter[str] = Counter()
        self._source = source
        self._served: dict[str, bytes] = {}  # the first bytes of the last digest

    def document(self, path: str, at: datetime) -> Document | None:
        """What the source has, counted."""
        found = self._source.document(path, at)
        self.counts["asked"] += 1
        if found:
            digest = bytes.fromhex(found.digest[-64:-48])
            if self._served.get(path) != digest:
                self._served[path] = digest
                self.counts["news" if "/hhcw/" in path else "lists"] += 1
        return found


class Country:
    """The night and the moment at which it stands."""

    def __init__(self, night: NationalNight, depth: Depth) -> None:
        self.simulation = NationalSimulation(night)
        self.source = Watched(SimulatedSource(self.simulation))
        self._depth = depth
        self._step = 0

    def clock(self) -> datetime:
        """A little after the publication."""
        return self.simulation.publications[self._step] + AFTER

    def go(self, step: int) -> dict[str, Any]:
        """Stand at a publication; says how many documents were changed since the last, and when it is."""
        changed = sum(1 for _ in self.simulation.changed(step, self._depth)) if step != self._step or not step else 0
        self._step = step
        return {"at": self.clock().isoformat(), "changed": changed}

    def seen(self) -> dict[str, Any]:
        """What was asked since the last question."""
        counts, self.source.counts = self.source.counts, Counter()
        used = resource.getrusage(resource.RUSAGE_SELF)
        return {**counts, "cpu_s": used.ru_utime + used.ru_stime, "rss_mb": used.ru_maxrss / 1024}

    def truth(self, place: str) -> dict[str, Any]:
        """Write what was counted at the end, a line for every pair and unit."""
        units = stations = 0
        with Path(place).open("wb") as file:
            for contest, unit, counted in self.simulation.truth(self.simulation.publications[-1]):
                if counted.stations:
                    units += 1
                    stations += len(unit) == 13
                    for candidate, votes in counted.votes.items():
                        file.write(msgspec.json.encode((contest, unit, candidate, votes, counted.stations)) + b"\n")
        return {"units": units, "stations": stations}


async def serve(country: Country) -> None:
    """Serve until stdin ends."""
    loop = asyncio.get_running_loop()
    async with serving(country.source, country.clock, compression=False, log=RequestLog(keep=0)) as server:
        answers: dict[str, Callable[..., dict[str, Any]]] = {
            "begin": lambda: {"base_url": server.base_url, "publications": len(country.simulation.publications)},
            "go": country.go,
            "seen": country.seen,
            "truth": country.truth,
        }
        while line := await loop.run_in_executor(None, sys.stdin.readline):
            name, *arguments = json.loads(line)
            print(json.dumps(answers[name](*arguments)), flush=True)


if __name__ == "__main__":
    depth, *night = json.loads(sys.argv[1])
    asyncio.run(serve(Country(msgspec.convert(night[0], NationalNight), depth)))
