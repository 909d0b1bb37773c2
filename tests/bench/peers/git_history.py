"""The peer git-history, in the two ways there are to hand it a repository of many files.

`merged`: it follows one file, so the rows of each commit are written to one file first, which is not timed.
`files`: a run a file with a namespace each, as its documentation has it for several files. Every one of these is a
process and five tables, so a sample is measured and multiplied; only files that the last commit has can be followed.

python git_history.py BUNDLE DIRECTORY merged|files    prints what came out as JSON
"""

import itertools
import json
import os
import sqlite3
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from observations import CONTESTS, observations, rows

FILE = "count.json"
EVERY = 27  # of the 1,091 files one in 27 is followed: some 40
COMMAND = str(Path(sys.executable).with_name("git-history"))
ROWS = """
counted = json.loads(content)["tungsura"]
rows = [("own", counted["chart"] or {}), *(counted["table"] or {}).items()]
return [
    {
        "unit": unit,
        "votes": {pair: votes for pair, votes in figures.items() if pair.isdigit()},
        "progress": figures.get("progres"),
        "is_reported": figures.get("status_progress"),
        "revote_status": figures.get("psu"),
    }
    for unit, figures in rows
]
""".strip()


def merged(bundle: Path, directory: Path) -> dict[str, Any]:
    """Follow one file twice: all of its history, and then nothing new."""
    repository, database = one_file(bundle, directory), directory / "history.db"
    command = [COMMAND, "file", str(database), FILE, "--repo", str(repository), "--id", "document", "--id", "unit"]
    first = seconds([*command, "--silent"])
    again = seconds([*command, "--silent"])
    with sqlite3.connect(database) as connection:
        versions, series = connection.execute("SELECT count(*), count(DISTINCT _item) FROM item_version").fetchone()
    return {"seconds": first, "again": again, "versions": versions, "series": series}


def one_file(bundle: Path, directory: Path) -> Path:
    """A repository with a commit for each of the bundle's, at its time, and one file; returns it."""
    repository = directory / "rows"
    git = ["git", "-C", str(repository), "-c", "user.name=bench", "-c", "user.email=bench@example.org"]
    subprocess.run(["git", "init", "--quiet", "--initial-branch=main", str(repository)], check=True)
    for (commit, at), found in itertools.groupby(observations(bundle, directory), key=lambda one: (one.commit, one.at)):
        lines = [json.dumps(row) for observation in found for row in rows(observation)]
        (repository / FILE).write_text("[\n" + ",\n".join(lines) + "\n]\n", "utf-8")
        subprocess.run([*git, "add", FILE], check=True)
        times = {"GIT_COMMITTER_DATE": at, "GIT_AUTHOR_DATE": at}
        subprocess.run([*git, "commit", "--quiet", "--message", commit], check=True, env={**os.environ, **times})
    return repository


def files(bundle: Path, directory: Path) -> dict[str, Any]:
    """Follow some of the files into one database, and multiply."""
    repository = directory / "files"
    subprocess.run(["git", "clone", "--quiet", "--branch", "main", str(bundle), str(repository)], check=True)
    found = sorted(
        path.relative_to(repository) for contest in CONTESTS for path in repository.glob(f"{contest}/*/*.json")
    )
    followed = found[::EVERY]
    command = [COMMAND, "file", str(directory / "history.db")]
    options = ["--repo", str(repository), "--id", "unit", "--convert", ROWS, "--silent"]
    spent = 0.0
    for path in followed:
        namespace = "_".join(path.with_suffix("").parts)
        spent += seconds([*command, str(path), *options, "--namespace", namespace])
    return {
        "seconds": spent * len(found) / len(followed),
        "sample": f"{len(followed)} of {len(found):,} files, multiplied",
    }


def seconds(command: list[str]) -> float:
    """How long a command takes."""
    started = time.perf_counter()
    subprocess.run(command, check=True)
    return time.perf_counter() - started


if __name__ == "__main__":
    way = {"merged": merged, "files": files}[sys.argv[3]]
    print(json.dumps(way(Path(sys.argv[1]), Path(sys.argv[2]))))
