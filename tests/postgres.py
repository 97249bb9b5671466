"""A real PostgreSQL: a cluster of its own in a folder that goes away, on a free port, ended with this process."""

from __future__ import annotations

import os
import pwd
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from dropviz.engine.lifeline import death_signal
from tests.houses import free_port

PASSWORD = secrets.token_hex(8)
WHERE = Path("/usr/lib/postgresql")  # Debian's place, which is not in PATH
PATIENCE_SECONDS = 60.0
MISSING = "There is no PostgreSQL here: bash setup/programs installs Debian's."


def programs() -> Path | None:
    """The folder with initdb and postgres, of the newest version; None where there is none."""
    if found := shutil.which("initdb"):
        return Path(found).resolve().parent
    folders = [folder for folder in WHERE.glob("*/bin") if (folder / "initdb").exists()]
    return max(folders, key=lambda folder: float(folder.parent.name), default=None)


def installed() -> bool:
    """Whether a server can be started here."""
    return programs() is not None and shutil.which("setpriv") is not None


SENDING = """
import sys
from dropviz.store import Store
database = Store.open().database
with database.write(alone=sys.argv[1] == "alone") as connection:
    session = connection.connection.driver_connection.pgconn
    session.enter_pipeline_mode()
    session.send_query_params(sys.argv[2].encode(), None)
    session.flush()
    print("holds", flush=True)
    sys.stdin.read()
"""


@contextmanager
def sending_rows(
    writer: str, statement: str, *, environment: Mapping[str, str], within: Sequence[str] = ()
) -> Iterator[subprocess.Popen[str]]:
    """A process in the middle of a change whose server waits for more, as while rows are sent together; killed at the end.

    Args:
        writer: ``alone``, or anything else for one of many.
        statement: What it has sent.
        environment: Names the store.
        within: A command that runs it.
    """
    with subprocess.Popen(
        [*within, sys.executable, "-c", SENDING, writer, statement],
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        preexec_fn=death_signal(),
    ) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "holds\n"
            yield process
        finally:
            process.kill()


class Server:
    """Started at once; see ``stop``.

    Args:
        durable: Let it wait for the disk, which it need not where nobody pulls the plug.
        address: Of this machine, where it listens; others in its /30 may come, too.
    """

    def __init__(self, *, durable: bool = False, address: str = "127.0.0.1") -> None:
        self.port = free_port(address)
        self.folder = Path(tempfile.mkdtemp(prefix="dropviz-pg-"))
        self._durable, self.address = durable, address
        self._made = 0
        self._initialize()
        self.start()

    def start(self) -> None:
        """Start it, or start it again."""
        settings = {"listen_addresses": self.address, "port": self.port, "max_connections": 200}
        settings |= {"unix_socket_directories": self.folder, "shared_buffers": "32MB"}
        settings |= {} if self._durable else {"fsync": "off", "full_page_writes": "off"}
        options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        command = [_program("postgres"), "-D", self.folder / "data", *options]
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(
                self._as_user(*command), stdout=log, stderr=log, stdin=subprocess.DEVNULL
            )
        deadline = time.monotonic() + PATIENCE_SECONDS
        ready = self._as_user(_program("pg_isready"), "-h", self.address, "-p", str(self.port), "-q")
        while subprocess.run(ready).returncode != 0:
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError((self.folder / "log").read_text())
            time.sleep(0.05)

    def create(self) -> str:
        """The URL of a new empty place for tables: a schema of its own, as a whole database would take 7 MB and a second."""
        self._made += 1
        name = f"place_{self._made}"
        self.execute(f"CREATE SCHEMA {name}")
        return f"{self.url()}?options=-csearch_path%3D{name}"

    def url(self, database: str = "postgres", user: str = "owner", password: str = PASSWORD) -> str:
        """The URL of a database."""
        return f"postgresql+psycopg://{user}:{password}@{self.address}:{self.port}/{database}"

    def execute(self, statement: str, database: str = "postgres") -> None:
        """Run a statement as the one who may do everything."""
        import psycopg

        url = self.url(database).replace("+psycopg", "")
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute(statement)

    def halt(self) -> None:
        """Stop it in order, but at once; its databases stay."""
        self.process.send_signal(signal.SIGINT)
        self.process.wait(PATIENCE_SECONDS)

    def crash(self) -> None:
        """End all its processes as a crash does: what had not reached a file is lost."""
        self.process.send_signal(signal.SIGQUIT)
        self.process.wait(PATIENCE_SECONDS)

    def stop(self) -> None:
        """Stop it and remove all of it; nothing of it is worth writing."""
        if self.process.poll() is None:
            self.crash()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _initialize(self) -> None:
        password = self.folder / "password"
        password.write_text(PASSWORD)
        if os.geteuid() == 0:  # it refuses to run as root
            for path in (self.folder, password):
                shutil.chown(path, *_user())
        options = ["-D", self.folder / "data", "-U", "owner", "-A", "scram-sha-256", "--pwfile", password]
        command = self._as_user(_program("initdb"), *options, "--no-sync", "--locale=C", "-E", "UTF8")
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, cwd=self.folder)
        with (self.folder / "data" / "pg_hba.conf").open("a") as file:
            file.write(f"host all all {self.address}/30 scram-sha-256\n")

    @staticmethod
    def _as_user(*command: str | Path) -> list[str]:
        """The command, ended by the kernel when we end, and by nobody special where we are root."""
        who = ["setpriv", "--pdeathsig", "INT"]
        if os.geteuid() == 0:
            user, group = _user()
            who += ["--reuid", user, "--regid", group, "--clear-groups"]
        return [*who, "--", *map(str, command)]


def _user() -> tuple[str, str]:
    names = {entry.pw_name for entry in pwd.getpwall()}
    return ("postgres", "postgres") if "postgres" in names else ("nobody", "nogroup")


def _program(name: str) -> Path:
    folder = programs()
    assert folder is not None, MISSING
    return folder / name
