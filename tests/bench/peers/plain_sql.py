"""The peer that a good analyst writes in an afternoon: git for the bytes, one page of DuckDB SQL for the history.

`lines`, tuned: each distinct body of a document is decoded once, at the time of the first commit that has it.
`checkouts`, as one begins: every commit is checked out into a folder, and read_json reads the files.

python plain_sql.py BUNDLE DIRECTORY lines|checkouts    prints seconds, versions and series as JSON
"""

import json
import subprocess
import sys
import time
from pathlib import Path

import duckdb
from observations import observations

HERE = Path(__file__).parent


def lines(bundle: Path, directory: Path) -> Path:
    """The distinct bodies as JSON lines."""
    first = {(one.document, one.body): one.at for one in reversed(list(observations(bundle, directory)))}
    path = directory / "bodies.jsonl"
    with path.open("wb") as file:
        for (document, body), at in first.items():
            one_line = body.replace(b"\n", b" ")  # a JSON string holds no bare line end, so this changes none
            file.write(
                b'{"document": "%b", "observed_at": "%b", "body": %b}\n' % (document.encode(), at.encode(), one_line)
            )
    return path


def checkouts(bundle: Path, directory: Path) -> Path:
    """A folder for each commit, named like its time."""
    repository, folder = directory / "bundle.git", directory / "commits"
    subprocess.run(["git", "clone", "--bare", "--quiet", str(bundle), str(repository)], check=True)
    git = ["git", "-C", str(repository)]
    log = subprocess.run([*git, "log", "--all", "--format=%H %cI"], check=True, capture_output=True, text=True)
    for line in log.stdout.splitlines():
        commit, at = line.split()
        (folder / at).mkdir(parents=True)
        subprocess.run(
            [*git, f"--work-tree={folder / at}", "checkout", "--quiet", "--force", commit, "--", "."], check=True
        )
    return folder


def build(source: Path, way: str, directory: Path) -> Path:
    """Let DuckDB do the rest; returns the database."""
    database = directory / "count.duckdb"
    with duckdb.connect(str(database)) as connection:
        connection.execute("SET VARIABLE source = ?", [str(source)])
        for script in (f"plain_sql_{way}.sql", "plain_sql.sql"):
            connection.execute((HERE / script).read_text("utf-8"))
    return database


def main(bundle: Path, directory: Path, way: str) -> None:
    """Build the history once and count it."""
    started = time.perf_counter()
    database = build({"lines": lines, "checkouts": checkouts}[way](bundle, directory), way, directory)
    seconds = time.perf_counter() - started
    with duckdb.connect(str(database), read_only=True) as connection:
        ((versions, series),) = connection.execute(
            "SELECT count(*), count(DISTINCT (document, unit)) FROM history"
        ).fetchall()
    print(json.dumps({"seconds": seconds, "versions": versions, "series": series}))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3])
