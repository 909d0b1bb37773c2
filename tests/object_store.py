"""An object store for the tests: moto's S3 on loopback, in a thread, so that it can fail, go down and come back."""

import logging
import re
import socket
import threading
from collections.abc import Callable, Iterable
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

from moto.server import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import make_server

from extract.archive import Archive
from extract.leases import utc
from extract.objects import Objects

BUCKET = "count"
KEY, SECRET = "AKIAOFTHETESTS", "wJalrXUtnFEMIK7MDENGbPxRfiCY"
IMPATIENT = timedelta(seconds=1)

Fault = Callable[[str, str], tuple[str, str] | None]
"""By method and path: the status line to answer with, and the code that goes into S3's XML; or None to let it pass."""


logging.getLogger("werkzeug").setLevel(logging.ERROR)  # it would list every request


class ObjectStore:
    """S3 that knows one key, with a list of what was asked of it."""

    def __init__(self) -> None:
        self._application = DomainDispatcherApplication(create_backend_app)
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.asked: list[str] = []
        self.fault: Fault = lambda *_: None
        self.ignores_conditions = False
        self.start()
        self.put("", b"")

    @property
    def credentials(self) -> dict[str, str]:
        """What the environment holds."""
        return {
            "AWS_ACCESS_KEY_ID": KEY,
            "AWS_SECRET_ACCESS_KEY": SECRET,
            "AWS_ENDPOINT_URL": f"http://127.0.0.1:{self.port}",
        }

    def start(self) -> None:
        """Answer, with all that was stored before."""
        self._server = make_server("127.0.0.1", self.port, self._answer, threaded=True)
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Refuse connections."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def archive(self, prefix: str, local: Path, shard: str | None = None, **options: Any) -> Archive:
        """An archive in it, as the machine sees it whose files lie in `local`."""
        url, options = f"s3://{BUCKET}/{prefix}", {"patience": IMPATIENT, "clock": utc} | options
        return Archive(Objects(url, local, self.credentials, shard, **options))

    def keys(self, prefix: str) -> list[str]:
        """The objects below a prefix."""
        listed = self._ask("GET", f"?list-type=2&prefix={prefix}/").decode()
        return [key.removeprefix(f"{prefix}/") for key in re.findall("<Key>(.*?)</Key>", listed)]

    def get(self, key: str) -> bytes:
        """An object's content."""
        return self._ask("GET", f"/{key}")

    def put(self, key: str, content: bytes) -> None:
        """Put an object there, whatever was there."""
        self._ask("PUT", f"/{key}" if key else "", content)

    def delete(self, key: str) -> None:
        """Remove an object."""
        self._ask("DELETE", f"/{key}")

    def _ask(self, method: str, what: str, content: bytes | None = None) -> bytes:
        address = f"http://127.0.0.1:{self.port}/{BUCKET}{what}"
        with urlopen(
            Request(
                address,
                content,
                {"Authorization": f"AWS {KEY}:", "Content-Type": "application/zstd", "X-By-Hand": "yes"},
                method=method,
            )
        ) as answer:
            return answer.read()

    def _answer(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        if "HTTP_X_BY_HAND" in environ:
            return self._application(environ, start_response)
        asked = environ["REQUEST_METHOD"], environ["PATH_INFO"]
        self.asked.append(" ".join(asked))
        refused = self.fault(*asked)
        if KEY not in environ.get("HTTP_AUTHORIZATION", ""):
            refused = ("403 Forbidden", "InvalidAccessKeyId")
        if refused:
            status, code = refused
            signed = environ.get("HTTP_X_AMZ_SECURITY_TOKEN", "")  # Amazon's answer repeats what was signed
            body = f"<Error><Code>{code}</Code><CanonicalRequest>{signed}</CanonicalRequest></Error>".encode()
            start_response(status, [("Content-Length", str(len(body)))])
            return [body]
        if self.ignores_conditions:
            for condition in ("HTTP_IF_MATCH", "HTTP_IF_NONE_MATCH"):
                environ.pop(condition, None)
        return self._application(environ, start_response)
