"""A stand-in for the Wayback Machine on loopback: its index (CDX) and its replay of bodies as they were stored."""

import base64
import gzip
import hashlib
import json
import threading
from bisect import bisect_left
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import groupby
from typing import NamedTuple, Self
from urllib.parse import parse_qs, urlsplit

from extract.capture import Capture

_FIELDS = ("timestamp", "original", "mimetype", "statuscode", "digest")


class Held(NamedTuple):
    """What the Archive holds of an address at a time: the bytes as they came, and how they were packed."""

    original: str
    timestamp: str
    stored: bytes
    status: int = 200
    mimetype: str = "application/json"
    coding: str | None = None
    digest: str = ""  # another one than that of the bytes, if given

    @classmethod
    def of(cls, capture: Capture, *, packed: bool = False) -> Self:
        """A capture, as if the Archive had made it."""
        body = capture.body or b""
        stored, coding = (gzip.compress(body, mtime=0), "gzip") if packed else (body, None)
        moment = f"{capture.observed_at:%Y%m%d%H%M%S}"
        return cls(capture.url, moment, stored, capture.status, capture.mimetype, coding)

    @property
    def sha1(self) -> str:
        """The digest that the index gives."""
        return self.digest or base64.b32encode(hashlib.sha1(self.stored).digest()).decode()


class Answer(NamedTuple):
    """What is answered instead: by the Archive itself, as it is no memento."""

    status: int
    headers: Mapping[str, str] = {}
    body: bytes = b"<html>the Archive is busy</html>"


class WaybackStandIn:
    """Serves what it holds while it is open. `instead` has other answers for addresses that contain a text; `asked`
    lists the paths of all requests, `headers` the headers of the last."""

    def __init__(self, held: Iterable[Held]) -> None:
        self.held = sorted(held)
        self.instead: dict[str, Answer] = {}
        self.asked: list[str] = []
        self.headers: Mapping[str, str] = {}
        stand_in = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            wbufsize = -1  # head and body in one packet, or each answer waits 40 ms for an acknowledgement

            def do_GET(self) -> None:
                stand_in.asked.append(self.path)
                stand_in.headers = dict(self.headers)
                answer = stand_in.answer(self.path)
                self.send_response(answer.status)
                for name, value in answer.headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(answer.body)))
                self.end_headers()
                self.wfile.write(answer.body)

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.base_url = f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    @property
    def bodies_asked(self) -> list[str]:
        """The captures whose bodies were asked for."""
        return [path.removeprefix("/web/") for path in self.asked if path.startswith("/web/")]

    def answer(self, path: str) -> Answer:
        """What is answered at a path."""
        for text, answer in self.instead.items():
            if text in path:
                return answer
        parts = urlsplit(path)
        if parts.path == "/cdx/search/cdx":
            body = json.dumps(self._index({name: values[0] for name, values in parse_qs(parts.query).items()}))
            return Answer(200, {"Content-Type": "application/json"}, body.encode())
        timestamp, _, original = path.removeprefix("/web/").partition("id_/")
        return self._memento(timestamp, original)

    def _index(self, asked: dict[str, str]) -> list[list[str]]:
        assert (asked["output"], asked["collapse"], asked["fl"]) == ("json", "digest", ",".join(_FIELDS))
        pattern = asked["url"].rpartition("://")[2]
        found = [
            one
            for one in self.held
            if asked["from"] <= one.timestamp <= asked["to"] and _fits(pattern, one.original.rpartition("://")[2])
        ]
        unique = [next(same) for _, same in groupby(found, key=lambda one: one.sha1)]
        start, limit = int(asked.get("resumeKey", "0")), int(asked["limit"])
        rows = [
            [one.timestamp, one.original, one.mimetype, str(one.status), one.sha1]
            for one in unique[start : start + limit]
        ]
        key = [[], [str(start + limit)]] if start + limit < len(unique) else []
        return [list(_FIELDS), *rows, *key] if rows else []

    def _memento(self, timestamp: str, original: str) -> Answer:
        same = [one for one in self.held if one.original == original]
        if not same:
            return Answer(404)
        nearest = same[min(bisect_left(same, timestamp, key=lambda one: one.timestamp), len(same) - 1)]
        if nearest.timestamp != timestamp:
            return Answer(302, {"Location": f"/web/{nearest.timestamp}id_/{original}"})
        moment = datetime.strptime(timestamp, "%Y%m%d%H%M%S").replace(tzinfo=UTC)
        headers = {"Memento-Datetime": format_datetime(moment, usegmt=True), "Content-Type": nearest.mimetype}
        coding = {"Content-Encoding": nearest.coding} if nearest.coding else {}
        return Answer(nearest.status, headers | coding, nearest.stored)


def _fits(pattern: str, address: str) -> bool:
    return address.startswith(pattern[:-1]) if pattern.endswith("*") else address == pattern
