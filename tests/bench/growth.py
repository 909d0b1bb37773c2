"""How a night's cost grows with the number of stations and of changes, from what `national.py --into` wrote."""

import sys
from pathlib import Path
from typing import Any

import msgspec
from national import cells

OF_NIGHTS = (
    "stations", "changed", "requests", "economy", "cycles", "most_virtual_s", "cpu_s", "most_peak_mb", "most_load_s",
    "archive_mb", "warehouse_mb", "missing",
)  # fmt: skip
OF_CYCLES = ("requests", "plan_s", "load_s", "publish_s", "parquet_s", "report_s", "cpu_s", "peak_mb")
FEWEST = (0, 100, 1_000, 10_000, 30_000)  # requests of a cycle, from


def nights(lines: list[dict[str, Any]]) -> list[str]:
    """A row for each night."""
    rows = [cells(["night", *OF_NIGHTS]), cells(["---", *["--:"] * len(OF_NIGHTS)])]
    ends = [line for line in lines if "cycles" in line]
    return [*rows, *(cells([name_of(end), *(end.get(name, "") for name in OF_NIGHTS)]) for end in ends)]


def changes(lines: list[dict[str, Any]]) -> list[str]:
    """Means of each night's cycles by how many documents they asked for."""
    rows = [cells(["night", "cycles", *OF_CYCLES]), cells(["---", *["--:"] * (len(OF_CYCLES) + 1)])]
    for night in dict.fromkeys(name_of(line) for line in lines):
        cycles = [line for line in lines if name_of(line) == night and "cycle" in line]
        for least, below in zip(FEWEST, (*FEWEST[1:], 10**9), strict=True):
            some = [line for line in cycles if least <= line["requests"] < below]
            if some:
                means = (sum(line[name] for line in some) / len(some) for name in OF_CYCLES)
                rows.append(cells([night, len(some), *means]))
    return rows


def name_of(line: dict[str, Any]) -> str:
    """Where, and how deep."""
    return f"{line['where']}, {line['depth']}"


def main() -> None:
    """Print both tables."""
    lines = [msgspec.json.decode(line) for line in Path(sys.argv[1]).read_bytes().splitlines()]
    print("\n".join(["", *nights(lines), "", *changes(lines)]))


if __name__ == "__main__":
    main()
