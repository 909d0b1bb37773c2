"""Other ways to keep the same captures, each written as its users write it; how many bytes it takes.

All get the captures of one archive in the order they came. What came later never changes what was written before,
except where a store says "at once": those could not have been written during the night.
"""

import io
import subprocess
import sys
import tarfile
from collections.abc import Callable, Iterator
from datetime import timedelta
from itertools import groupby
from pathlib import Path
from urllib.parse import urlsplit

import duckdb
from warcio.statusandheaders import StatusAndHeaders
from warcio.warcwriter import WARCWriter

from extract.capture import Capture

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

LEVEL = 19
BLOCK = 4096
DICTIONARY = 112_640  # the size that the zstd program trains by default


def distinct(captures: list[Capture]) -> list[bytes]:
    """Every body once, in the order they came."""
    return list({capture.digest: capture.body or b"" for capture in captures}.values())


def files(captures: list[Capture], _: Path) -> int:
    """A file a capture, in whole blocks, as a file system keeps them."""
    return sum(-(-capture.length // BLOCK) * BLOCK for capture in captures)


def warc(captures: list[Capture], directory: Path) -> int:
    """warcio: a response record a capture, a gzip member a record."""
    return _warc(captures, directory / "all.warc.gz", revisits=False)


def warc_revisits(captures: list[Capture], directory: Path) -> int:
    """warcio: a body that came before becomes a revisit record."""
    return _warc(captures, directory / "revisits.warc.gz", revisits=True)


def _warc(captures: list[Capture], path: Path, *, revisits: bool) -> int:
    first: dict[str, Capture] = {}
    with path.open("wb") as file:
        writer = WARCWriter(file, gzip=True, warc_version="1.1")
        for capture in captures:
            date = f"{capture.observed_at:%Y-%m-%dT%H:%M:%SZ}"
            kind, body = "response", capture.body or b""
            http = StatusAndHeaders("200 OK", [("Content-Type", capture.mimetype)], protocol="HTTP/1.1")
            headers = {"WARC-Date": date}
            if revisits and capture.digest in first:
                kind, body = "revisit", b""
                seen = first[capture.digest]
                headers |= {
                    "WARC-Profile": "http://netpreserve.org/warc/1.1/revisit/identical-payload-digest",
                    "WARC-Refers-To-Target-URI": seen.url,
                    "WARC-Refers-To-Date": f"{seen.observed_at:%Y-%m-%dT%H:%M:%SZ}",
                    "WARC-Payload-Digest": capture.digest,
                }
            first.setdefault(capture.digest, capture)
            record = writer.create_warc_record(
                capture.url, kind, payload=io.BytesIO(body), http_headers=http, warc_headers_dict=headers
            )
            writer.write_record(record)
    return path.stat().st_size


def git_gc(captures: list[Capture], directory: Path) -> int:
    """A commit a moment, then git gc; pack and index."""
    return _git(captures, directory / "gc.git", ["gc", "--quiet"])


def git_aggressive(captures: list[Capture], directory: Path) -> int:
    """The same with the hardest search git offers, run over the finished night."""
    return _git(captures, directory / "aggressive.git", ["gc", "--quiet", "--aggressive", "--prune=now"])


def _git(captures: list[Capture], repository: Path, command: list[str]) -> int:
    subprocess.run(["git", "init", "--quiet", "--bare", "--initial-branch=main", str(repository)], check=True)
    git = ["git", "-C", str(repository)]
    stream = b"".join(_commits(captures))
    subprocess.run([*git, "fast-import", "--quiet"], input=stream, check=True)
    subprocess.run([*git, *command], check=True)
    return sum(path.stat().st_size for path in (repository / "objects" / "pack").iterdir())


def _commits(captures: list[Capture]) -> Iterator[bytes]:
    for moment, came in groupby(captures, key=lambda capture: capture.observed_at):
        yield b"commit refs/heads/main\ncommitter bench <bench@example.org> %d +0000\ndata 0\n" % moment.timestamp()
        for capture in came:
            body = capture.body or b""
            path = urlsplit(capture.url).path.lstrip("/").encode()
            yield b"M 100644 inline %b\ndata %d\n%b\n" % (path, len(body), body)


def parquet(captures: list[Capture], directory: Path) -> int:
    """DuckDB, a file a moment, zstd: address, clock, digest, and the body where it is new."""
    return _parquet(captures, directory / "night", at_once=False)


def parquet_at_once(captures: list[Capture], directory: Path) -> int:
    """One Parquet file at once, sorted by address, so that versions of a document lie side by side."""
    return _parquet(captures, directory / "sorted", at_once=True)


def _parquet(captures: list[Capture], directory: Path, *, at_once: bool) -> int:
    directory.mkdir()
    with duckdb.connect() as connection:
        connection.execute("CREATE TABLE capture (url VARCHAR, observed_at TIMESTAMPTZ, digest VARCHAR, body VARCHAR)")
        seen: set[str] = set()
        for capture in captures:
            body = None if capture.digest in seen else (capture.body or b"").decode()
            seen.add(capture.digest)
            connection.execute(
                "INSERT INTO capture VALUES (?, ?, ?, ?)", [capture.url, capture.observed_at, capture.digest, body]
            )
        options = f"(FORMAT parquet, COMPRESSION zstd, COMPRESSION_LEVEL {LEVEL})"
        if at_once:
            connection.execute(f"COPY (FROM capture ORDER BY url, observed_at) TO '{directory}/all.parquet' {options}")
        else:
            moments = connection.execute("SELECT DISTINCT observed_at FROM capture ORDER BY ALL").fetchall()
            for number, (moment,) in enumerate(moments):
                connection.execute("CREATE OR REPLACE TABLE came AS FROM capture WHERE observed_at = ?", [moment])
                connection.execute(f"COPY came TO '{directory}/{number}.parquet' {options}")
    return sum(path.stat().st_size for path in directory.iterdir())


def zstd_each(captures: list[Capture], _: Path) -> int:
    """Each distinct body by itself at level 19; without addresses, times and digests."""
    return sum(len(zstd.compress(body, LEVEL)) for body in distinct(captures))


def zstd_dictionary(captures: list[Capture], _: Path) -> int:
    """The same with a dictionary trained on the first moment's bodies, which is counted."""
    bodies = distinct(captures)
    first = captures[0].observed_at
    early = distinct([capture for capture in captures if capture.observed_at - first < timedelta(hours=1)])
    trained = zstd.train_dict(early, DICTIONARY)
    packer = zstd.ZstdCompressor(LEVEL, zstd_dict=trained.as_digested_dict)
    return len(trained.dict_content) + sum(len(packer.compress(body, packer.FLUSH_FRAME)) for body in bodies)


def tar_zstd(captures: list[Capture], _: Path) -> int:
    """One tar of the distinct bodies at once, zstd -19: nothing can be read without reading what is before it."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as tar:
        for number, body in enumerate(distinct(captures)):
            entry = tarfile.TarInfo(f"{number}.json")
            entry.size = len(body)
            tar.addfile(entry, io.BytesIO(body))
    options = {zstd.CompressionParameter.compression_level: LEVEL, zstd.CompressionParameter.window_log: 27}
    return len(zstd.compress(packed.getvalue(), options=options))


STORES: dict[str, Callable[[list[Capture], Path], int]] = {
    "files": files,
    "WARC.gz": warc,
    "WARC.gz, revisits": warc_revisits,
    "git gc": git_gc,
    "git gc --aggressive": git_aggressive,
    "Parquet": parquet,
    "Parquet, at once": parquet_at_once,
    "zstd each": zstd_each,
    "zstd each, dictionary": zstd_dictionary,
    "tar.zst, at once": tar_zstd,
}

BARE = ("zstd each", "zstd each, dictionary", "tar.zst, at once")
"""Stores that hold bodies and nothing about them: no address, no time, no digest."""
