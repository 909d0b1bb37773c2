"""Keys that KPU's documents had not when this was written: passed over, and told to whoever runs this.

A key that is gone, or that holds another kind of value, is another matter: a body without what it needs is quarantined.
"""

from collections.abc import Collection, Iterable, Iterator
from typing import Any

import msgspec

from transform.wire import ADMINISTRASI, Chart, Count, Tungsura

_MOST = 20  # keys told of one body, each so many letters long: a hostile one may have a million
_LONGEST = 100
_CELLS = frozenset(("progres", "persen", "psu", "status_progress", "null"))
_PROGRESS = frozenset(("total", "persen", "progres"))

_keys = msgspec.json.Decoder(dict[str, msgspec.Raw])


def told(places: Iterable[str]) -> tuple[str, ...]:
    """The unknown keys as a document names them: each once, in order, and not too many."""
    return tuple(sorted({place[:_LONGEST] for place in places})[:_MOST])


def unknown_cells(keys: Iterable[str]) -> list[str]:
    """Of the keys of a chart or row, those that are neither a candidate's id nor one of KPU's own."""
    return [key for key in keys if not (key in _CELLS or key.isdecimal())]


def of_items(items: Iterable[Any], kind: type[msgspec.Struct], place: str) -> Iterator[str]:
    """Unknown keys of a list's or object's items, which are all of one kind."""
    for shape in set(map(tuple, items)):
        yield from (f"{place}.{key}" for key in shape if key not in kind.__struct_fields__)


def of_count(body: bytes, count: Count, root: Count | Tungsura, nest: str) -> Iterator[str]:
    """Unknown keys of a count, wherever figures stand in it; `root` is what has its chart, at the place `nest`."""
    top = _keys.decode(body)
    yield from (f"$.{key}" for key in top if key not in Count.__struct_fields__)
    if root is not count:
        yield from (f"{nest}.{key}" for key in _keys.decode(top["tungsura"]) if key not in Tungsura.__struct_fields__)
    yield from (f"$.progres.{key}" for key in count.progres or () if key not in _PROGRESS)
    yield from (f"{nest}.administrasi.{key}" for key in root.administrasi or () if key not in ADMINISTRASI)
    yield from _of_cells([root.chart or {}], f"{nest}.chart")
    yield from _of_cells((root.table or {}).values(), f"{nest}.table.*")


def _of_cells(charts: Collection[Chart], place: str) -> Iterator[str]:
    """Each shape once: the rows of a table have two or three, reported or not, with 44 rows or with 500."""
    for shape in set(map(tuple, charts)):
        yield from (f"{place}.{key}" for key in unknown_cells(shape))
    for shape in {tuple(chart["progres"]) for chart in charts if chart.get("progres")}:
        yield from (f"{place}.progres.{key}" for key in shape if key not in _PROGRESS)
