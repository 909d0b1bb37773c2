"""Real servers for tests, each on a free port of 127.0.0.1: a PostgreSQL cluster of Debian's, and moto's S3.

Fixtures to import: `postgresql` (a cluster for the session) and `s3`. Both skip with a reason where the server is not
installed. A cluster can be stopped as an operator does and as a machine does that loses its power.
"""

import importlib.util
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import urllib.request
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import NamedTuple

import pytest

PASSWORD = "geheim-in-uji"  # to be looked for where none may be
_USER = "realcount"
_numbers = count(1)


class Postgresql:
    """A cluster of PostgreSQL in a directory of its own, which asks for a password."""

    def __init__(self, programs: Path, place: Path) -> None:
        self._programs, self._place = programs, place
        self.port = free_port()
        self._owner = ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups"] if os.getuid() == 0 else []

    def create(self) -> None:
        """Initialise the cluster; it is not started."""
        if self._owner:  # PostgreSQL refuses to run as root
            shutil.chown(self._place, "postgres", "postgres")
        password = self._place / "password"
        password.write_text(PASSWORD)
        password.chmod(0o644)
        self._run(
            "initdb", "--username", _USER, "--pwfile", password, "--auth=scram-sha-256", "--encoding=UTF8",
            "--locale=C", "--no-sync", self._place / "cluster",
        )  # fmt: skip

    def start(self) -> None:
        """Start it, and return when it takes connections."""
        told = f"-p {self.port} -c listen_addresses=127.0.0.1 -c unix_socket_directories='' -c max_connections=60"
        self._control("start", "-w", "-o", told, "-l", self._place / "log")

    def stop(self, mode: str = "fast") -> None:
        """Stop it: `fast` ends its sessions in order; `immediate` drops everything, as a crash does."""
        self._control("stop", "-w", "-m", mode)

    def restart(self, mode: str = "fast") -> None:
        """Stop it, and start it again on the same port."""
        self.stop(mode)
        self.start()

    def crash(self) -> None:
        """Die as with the power, and come back: what was not committed is gone."""
        self.restart("immediate")

    def database(self) -> str:
        """A new, empty database: its connection string for libpq, which holds no password."""
        name = f"d{os.getpid()}_{next(_numbers)}"
        self.psql("postgres", f"CREATE DATABASE {name}")
        return self.connection(name)

    def connection(self, name: str = "postgres", user: str = _USER) -> str:
        """The connection string of a database, for libpq; the password comes from the environment."""
        return f"host=127.0.0.1 port={self.port} dbname={name} user={user}"

    def psql(self, database: str, sql: str) -> str:
        """Run SQL as the owner; a database is named by its name or its connection string. Lines of values by |."""
        target = database if "=" in database else self.connection(database)
        return self._run("psql", "-X", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-d", target, "-c", sql)

    def dump(self, database: str) -> str:
        """All that a database holds, as SQL."""
        return self._run("pg_dump", "-d", database)

    def _control(self, *words: object) -> None:
        self._run("pg_ctl", "-D", self._place / "cluster", "-s", *words)

    def _run(self, program: str, *words: object) -> str:
        command = [*self._owner, str(self._programs / program), *map(str, words)]
        environment = {"PATH": os.environ["PATH"], "PGPASSWORD": PASSWORD, "LC_ALL": "C"}
        done = subprocess.run(
            command, env=environment, cwd="/", text=True, capture_output=True, check=False,
            timeout=60,
        )  # fmt: skip
        assert done.returncode == 0, f"{program}: {done.stderr}{done.stdout}"
        return done.stdout.strip()


class S3(NamedTuple):
    """An object store: its address, and what a client needs, by the names of the environment."""

    url: str
    environment: dict[str, str]

    def bucket(self) -> str:
        """A new, empty bucket."""
        name = f"bucket-{os.getpid()}-{next(_numbers)}"
        request = urllib.request.Request(f"{self.url}/{name}", method="PUT")
        request.add_header("Authorization", "AWS4-HMAC-SHA256 Credential=testing/20241128/us-east-1/s3/aws4_request")
        with urllib.request.urlopen(request, timeout=10):
            return name


def free_port() -> int:
    """A port of 127.0.0.1 that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


@pytest.fixture(scope="session")
def postgresql() -> Iterator[Postgresql]:
    """A running cluster. Its password is in PGPASSWORD of this process and its children."""
    installed = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]))
    if not installed:
        pytest.skip("PostgreSQL is not installed (Debian: apt-get install postgresql)")
    place = Path(tempfile.mkdtemp(prefix="realcount-postgresql-", dir="/tmp"))  # another user must get there
    cluster = Postgresql(installed[-1].parent, place)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PGPASSWORD", PASSWORD)
        try:
            cluster.create()
            cluster.start()
            yield cluster
            cluster.stop("immediate")
        finally:
            shutil.rmtree(place, ignore_errors=True)


@pytest.fixture(scope="session")
def s3() -> Iterator[S3]:
    """A running object store. Its address and credentials are in the environment of this process and its children."""
    if importlib.util.find_spec("moto") is None or importlib.util.find_spec("flask") is None:
        pytest.skip("moto's server is not installed (pip install 'moto[server]')")
    port = free_port()
    environment = {
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}",
        "AWS_ACCESS_KEY_ID": "testing",
        "AWS_SECRET_ACCESS_KEY": PASSWORD,
        "AWS_REGION": "us-east-1",
    }
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    with pytest.MonkeyPatch.context() as patch:
        for name, value in environment.items():
            patch.setenv(name, value)
        try:
            _await(server, port)
            yield S3(environment["AWS_ENDPOINT_URL"], environment)
        finally:
            server.kill()
            server.wait()


def _await(server: "subprocess.Popen[bytes]", port: int) -> None:
    """Until it listens: there is nothing to wait on but the port itself."""
    while server.poll() is None:
        with socket.socket() as client:
            client.settimeout(0.2)
            if client.connect_ex(("127.0.0.1", port)) == 0:
                return
        try:
            server.wait(0.1)
        except subprocess.TimeoutExpired:
            continue
    pytest.fail(f"moto's server ended by itself ({server.returncode})")
