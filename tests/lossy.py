"""A wire between a loader and PostgreSQL that is cut at the worst moment: after a COMMIT is sent, before its answer."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress


class Wire:
    """A listener on 127.0.0.1 that passes all on to another port, but the answers to DuckLake's first COMMITs."""

    def __init__(self, target: int, losses: int) -> None:
        self._target, self._losses, self.lost = target, losses, 0
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]

    def serve(self) -> None:
        """Pass on until closed."""
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                server = socket.create_connection(("127.0.0.1", self._target))
                is_commit, is_cut = threading.Event(), threading.Event()
                for one, other, asks in ((client, server, True), (server, client, False)):
                    threading.Thread(target=self._pass, args=(one, other, asks, is_commit, is_cut), daemon=True).start()

    def _pass(
        self, one: socket.socket, other: socket.socket, asks: bool, is_commit: threading.Event, is_cut: threading.Event
    ) -> None:
        with suppress(OSError):
            while content := one.recv(1 << 16):
                if asks and b"INSERT INTO" in content and b"ducklake_snapshot" in content:
                    is_commit.set()  # what readers commit has changed nothing
                if asks and b"COMMIT" in content and is_commit.is_set() and self.lost < self._losses:
                    self.lost += 1
                    is_cut.set()
                if not asks and is_cut.is_set():
                    break
                other.sendall(content)
        for end in (one, other):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()

    def close(self) -> None:
        """Take no more connections."""
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()


@contextmanager
def lossy(target: int, losses: int = 1) -> Iterator[Wire]:
    """A wire to a port, in a thread."""
    wire = Wire(target, losses)
    thread = threading.Thread(target=wire.serve)
    thread.start()
    try:
        yield wire
    finally:
        wire.close()
        thread.join()
