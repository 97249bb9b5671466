"""A PostgreSQL database: what several machines share.

Whoever is alone holds one advisory lock, as whoever writes to SQLite holds the file's: what the store does is the same on both.
What a child appends needs its own job's row and waits for nobody else's, see ``points.append``.
"""

from __future__ import annotations

import re
import secrets
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Connection, Engine, create_engine, event, exc

from dropviz import settings
from dropviz.store.database.base import Database, begin_as_told
from dropviz.store.migrations import is_current, migrate
from dropviz.store.records import StoreError

MARK = "DropViz store "  # a comment of the table schema_version, followed by the store's own name
LOCK = 0x44567A31  # of those who write alone; advisory locks are a database's own
LOCK_SECONDS = 15
# A process that is stopped in the middle of a change would keep everybody waiting. Between two statements the server ends its
# session by itself; where rows are sent together it waits for the rest of them, and an engine has it end the session. One that
# reads holds nothing that others wait for, and a machine with much to do may let it rest for long.
STOPPED_SECONDS, READING_SECONDS = 5, 60
# How long the other end may be gone before a connection counts as lost, to either side, which is less than a lease.
KEEPALIVES = {"keepalives_idle": 3, "keepalives_interval": 2, "keepalives_count": 2}
GONE_MILLISECONDS = 8000
TCP = {"connect_timeout": 5, **KEEPALIVES, "tcp_user_timeout": GONE_MILLISECONDS}
SESSION = {f"tcp_{name}": value for name, value in KEEPALIVES.items()} | {
    "tcp_user_timeout": GONE_MILLISECONDS,
    "lock_timeout": f"{LOCK_SECONDS}s",
    "idle_in_transaction_session_timeout": f"{STOPPED_SECONDS}s",
}
TEXT = {"client_encoding": "utf8"}  # or a server without one, SQL_ASCII, would answer in bytes

SNAPSHOT = (
    "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY;"
    f" SET LOCAL idle_in_transaction_session_timeout = '{READING_SECONDS}s'"
)
CHANGE = "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE"
# Sessions of DropViz that have changed something, or alone may, and wait for their clients at the moment. Each message from one,
# also between rows, renews state_change.
SILENT = f"""
    FROM pg_stat_activity AS session
    WHERE datname = current_database() AND usename = current_user
        AND application_name = current_setting('application_name')
        AND wait_event = 'ClientRead' AND state_change IS NOT NULL
        AND (backend_xid IS NOT NULL OR EXISTS (
            SELECT FROM pg_locks AS held WHERE held.pid = session.pid AND granted
                AND locktype = 'advisory' AND classid = 0 AND objid = {LOCK} AND objsubid = 1
        ))
"""
SILENT_SESSIONS = f"SELECT pid, state_change::text, coalesce(host(client_addr), 'the local socket') {SILENT}"
END_SILENT_SESSION = f"SELECT pg_terminate_backend(pid) {SILENT} AND pid = %s AND state_change::text = %s"
CLOCK = "extract(epoch FROM clock_timestamp())::float8"
INSTALL = ".venv/bin/pip install -c constraints.txt -r requirements-cluster.txt"


class PostgreSQL(Database):
    """See ``open_database``. The clock is the server's, as those of the machines differ and jump."""

    elsewhere = "name another database in DROPVIZ_STORE"
    one_engine = False
    patience = STOPPED_SECONDS

    def __init__(self, url: URL) -> None:
        self.url = url
        self.server = f"{url.host or 'the local socket'}" + (f":{url.port}" if url.port else "")
        self.place = f"the database {url.database!r} on {self.server}"
        self._heard = (0.0, 0.0)  # the server's clock, and this machine's uptime then
        self._name = ""
        try:
            self.engine = _engine(url)
        except ImportError as error:
            raise StoreError(
                f"DROPVIZ_STORE names a PostgreSQL server, which needs psycopg ({error}): {INSTALL}"
            ) from None
        try:
            self._prepare()
        except exc.DatabaseError as error:
            self.engine.dispose()
            raise StoreError(self._sentence(error) or self._unusable(error)) from None
        except StoreError:
            self.engine.dispose()
            raise

    def _prepare(self) -> None:
        with self.read() as connection:
            found, encoding = connection.exec_driver_sql(
                f"SELECT {CLOCK}, current_setting('server_encoding')"
            ).one()
            self._hear(found)
            current = is_current(connection, self)
        if encoding != "UTF8":
            raise StoreError(
                f"{self.place} keeps text as {encoding}, which has no room for what people write: create one with UTF8."
            )
        if not current:
            with self.write() as connection:
                migrate(connection, self)
        with self.read() as connection:
            self._name = self._mark(connection).removeprefix(MARK)

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """See the base."""
        with self._transaction(SNAPSHOT) as connection:
            yield connection

    @contextmanager
    def write(self, *, durable: bool = True, alone: bool = True) -> Iterator[Connection]:
        """See the base."""
        begin = CHANGE if durable else f"{CHANGE}; SET LOCAL synchronous_commit = off"
        with self._transaction(begin) as connection:
            if alone:
                _, now = connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({LOCK}), {CLOCK}").one()
                self._hear(now)
            yield connection

    @contextmanager
    def _transaction(self, begin: str) -> Iterator[Connection]:
        with self._guarded(), self._begun(begin) as connection:
            yield connection
            connection.commit()

    def _begun(self, begin: str) -> Connection:
        """A connection in a transaction. Where the server was restarted, those of the pool are dead: a new one is tried."""
        try:
            return self._connected(begin)
        except exc.DBAPIError as error:
            if not error.connection_invalidated:
                raise
            return self._connected(begin)

    def _connected(self, begin: str) -> Connection:
        connection = self.engine.connect().execution_options(begin=(begin,))
        try:
            connection.begin()
        except exc.DBAPIError:
            connection.close()
            raise
        return connection

    def now(self) -> float:
        """The server's clock as it was last heard, carried on by this machine's uptime."""
        then, at = self._heard
        return then + _uptime() - at

    def _hear(self, now: float) -> None:
        self._heard = (now, _uptime())

    def beside(self, ending: str) -> Path:
        """In the data directory, which the machines share; a copy of the database under another name has files of its own."""
        name = re.sub(r"[^\w-]", "_", str(self.url.database))
        return settings.data_dir() / f"{name}-{self._name}{ending}"

    def _folder(self) -> Path:
        folder = settings.data_dir()  # which is made when something is written there
        return next(path for path in (folder, *folder.parents) if path.exists())

    def holders(self) -> set[tuple[int, str, str]]:
        """Sessions whose clients say nothing, by when they last did."""
        with self.read() as connection:
            return {
                (pid, since, address) for pid, since, address in connection.exec_driver_sql(SILENT_SESSIONS)
            }

    def end(self, holder: tuple[int, str, str], kill: Callable[[int], bool]) -> str:
        """By ending its session: nothing of what it was about to change counts."""
        *session, address = holder
        with self.read() as connection:
            ended = connection.exec_driver_sql(END_SILENT_SESSION, tuple(session)).scalar()
        return f"a process at {address} that stood still, whose session is ended" if ended else ""

    def is_marked(self, connection: Connection) -> bool | None:
        """By a comment."""
        tables = "SELECT count(*) FROM pg_tables WHERE schemaname = current_schema()"
        if connection.exec_driver_sql(tables).scalar_one() == 0:
            return None
        return self._mark(connection).startswith(MARK)

    def mark(self, connection: Connection) -> None:
        """See the base."""
        connection.exec_driver_sql(f"COMMENT ON TABLE schema_version IS '{MARK}{secrets.token_hex(4)}'")

    def _mark(self, connection: Connection) -> str:
        query = "SELECT obj_description(to_regclass('schema_version'), 'pg_class')"
        return connection.exec_driver_sql(query).scalar() or ""

    def _sentence(self, error: exc.DatabaseError) -> str | None:
        if not isinstance(error, exc.OperationalError) and not error.connection_invalidated:
            return None
        text, user = str(error.orig), self.url.username
        if "password" in text:
            return f"{self.server} does not let {user!r} in with this password: correct DROPVIZ_STORE."
        if f'database "{self.url.database}" does not exist' in text:
            return f"There is no {self.place.removeprefix('the ')}: create it, or name another one in DROPVIZ_STORE."
        if "lock timeout" in text:
            return f"{self.place} has been busy for {LOCK_SECONDS} seconds: somebody else holds its lock."
        if error.orig is not None and getattr(error.orig, "sqlstate", None) is None:
            return f"No PostgreSQL server answers at {self.server} ({_first_line(text)}): start it, or correct DROPVIZ_STORE."
        return self._unusable(error)

    def _unusable(self, error: exc.DatabaseError) -> str:
        text = _first_line(str(error.orig))
        if "permission denied" in text:
            return f"{self.url.username!r} may not write to {self.place} ({text}): make that user its owner."
        return f"{self.place} cannot be used ({text}): see the server's log."


def _uptime() -> float:
    """Seconds that no change of a clock moves, and that go on while the machine sleeps where the system knows them."""
    return time.clock_gettime(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))


def _first_line(text: str) -> str:
    return text.strip().partition("\n")[0].strip()


def _engine(url: URL) -> Engine:
    arguments: dict[str, Any] = {**TCP, **TEXT, "application_name": "dropviz", **url.query}
    engine = create_engine(url, connect_args=arguments, isolation_level="AUTOCOMMIT", max_overflow=32)

    @event.listens_for(engine, "connect")
    def connect(connection: Any, _record: Any) -> None:
        connection.execute("; ".join(f"SET {name} = '{value}'" for name, value in SESSION.items()))

    begin_as_told(engine, (CHANGE,))
    return engine
