"""Every unit's row over a simulated night, summed from the stations up."""

from bisect import bisect_right
from collections.abc import Mapping, Sequence

import msgspec

from extract.endpoints import NATIONAL, parent_of
from extract.jakarta import tree
from extract.night import WITHDRAWAL, Report

Row = tuple[int, int, int, int]
"""What a count document says of a unit: stations reported, then the votes of the three pairs."""

NOTHING: Row = (0, 0, 0, 0)


class History(msgspec.Struct, frozen=True):
    """A unit's row over the night: the cycles in which it changed, ascending, and what it was from each on."""

    cycles: list[int]
    rows: list[Row]

    def row(self, cycle: int) -> Row:
        """The row as of a cycle."""
        step = bisect_right(self.cycles, cycle)
        return self.rows[step - 1] if step else NOTHING


def histories(reported: Mapping[str, Sequence[Report]], *, is_withdrawn: bool) -> dict[str, History]:
    """Every unit's row over the night: changes are summed from the stations up, then from the evening on."""
    changes: dict[str, dict[int, Row]] = {code: {} for code in sorted(tree(), key=len, reverse=True)}
    del changes[NATIONAL]  # the country has more provinces than this one
    for station, own in reported.items():
        before = NOTHING
        for report in own:
            now = (1, *report.votes)
            changes[station][report.cycle] = _add(now, before, -1)
            before = now
    for code, steps in changes.items():
        above = changes.get(parent_of(code) or NATIONAL, {})
        for cycle, change in steps.items():
            above[cycle] = _add(above.get(cycle, NOTHING), change)
    return {code: _history(steps, is_withdrawn=is_withdrawn) for code, steps in changes.items()}


def _history(changes: Mapping[int, Row], *, is_withdrawn: bool) -> History:
    history, total = History([], []), NOTHING
    for cycle in sorted(changes.keys() | ({WITHDRAWAL} if is_withdrawn else set())):
        total = _add(total, changes.get(cycle, NOTHING))
        row = (total[0], 0, 0, 0) if is_withdrawn and cycle >= WITHDRAWAL else total
        if row != history.row(cycle):
            history.cycles.append(cycle)
            history.rows.append(row)
    return history


def _add(row: Row, other: Row, sign: int = 1) -> Row:
    return (row[0] + sign * other[0], row[1] + sign * other[1], row[2] + sign * other[2], row[3] + sign * other[3])
