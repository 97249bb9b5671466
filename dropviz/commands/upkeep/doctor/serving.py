"""Checks of serving: the engine, the port, accounts, what browsers get, PostgreSQL, a cluster, and a browser for the tests."""

from __future__ import annotations

import json
import os
import shutil
import socket
from collections.abc import Iterator
from http.client import HTTPConnection, HTTPException
from importlib import resources

from dropviz import settings
from dropviz.commands.serve import find_app, has_accounts
from dropviz.commands.upkeep.doctor.registry import Answer, Context, check
from dropviz.engine import engine_runs
from dropviz.store import Store, StoreError, Worker
from dropviz.store.looking import schema
from dropviz.store.migrations import VERSION
from dropviz.web.plotly_js import address

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
LARGEST_HEALTH = 1000  # bytes of the page's answer


@check("engine")
def engine(_: Context) -> Iterator[Answer]:
    """Whether one serves the store at the moment."""
    try:
        workers = _workers()
    except StoreError:
        yield "warning", "unknown, since the store cannot be opened", ""
        return
    if engine_runs() or workers:
        names = ", ".join(f"process {one.pid} on {one.host}" for one in workers)
        yield "ok", f"serves: {names or 'it is starting'}", ""
    else:
        yield "ok", "none runs; dropviz serve starts one", ""


def _workers() -> list[Worker]:
    """Those of the store; none of one that opening would make or upgrade."""
    if schema(settings.store_url()) != VERSION:
        return []
    store = Store.open(verify=False)
    try:
        return store.workers()
    finally:
        store.close()


@check("port")
def port(context: Context) -> Iterator[Answer]:
    """Free, or served by this program."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", context.port))
            yield "ok", f"{context.port} is free", ""
            return
        except OSError as error:
            reason = error.strerror or str(error)
    if _is_ours(context.port):
        yield "ok", f"{context.port} is served by DropViz", ""
    else:
        yield (
            "problem",
            f"{context.port} cannot be used ({reason})",
            "Choose another: dropviz serve --port 8600.",
        )


def _is_ours(port: int) -> bool:
    """Whether what answers there has our charts' library."""
    connection = HTTPConnection("127.0.0.1", port, timeout=3)
    try:
        connection.request("GET", "/_stcore/health")
        healthy = connection.getresponse()
        if healthy.status != 200 or len(healthy.read(LARGEST_HEALTH)) == LARGEST_HEALTH:
            return False
        connection.request("HEAD", "/" + address().lstrip("/"))
        return connection.getresponse().status == 200
    except (OSError, HTTPException):
        return False
    finally:
        connection.close()


@check("accounts")
def accounts(_: Context) -> Iterator[Answer]:
    """Whom pages are for; for nobody, where the secrets that say so cannot be read, which is the problem that it raises."""
    alone = has_accounts(find_app().parent)
    yield "ok", "pages are for accounts alone" if alone else "none: pages are for whoever reaches them", ""


@check("browser files")
def browser_files(_: Context) -> Iterator[Answer]:
    """The charts' library of the installed wheel, and this program's own scripts."""
    library = resources.files("plotly") / "package_data" / "plotly.min.js"
    scripts = [path for path in (resources.files("dropviz.web") / "browser").iterdir() if path.is_dir()]
    if not library.is_file():
        yield (
            "problem",
            "plotly's package has no plotly.min.js",
            "Install it again: pip install --force-reinstall plotly.",
        )
    elif not scripts:
        yield (
            "problem",
            "dropviz/web/browser has no scripts",
            "Install DropViz from its repository with pip install -e .",
        )
    else:
        yield "ok", f"charts' library {len(library.read_bytes()):,} bytes, {len(scripts)} components", ""


@check("several machines")
def several_machines(_: Context) -> Iterator[Answer]:
    """PostgreSQL and a cluster, where the settings ask for them: that what they need is installed and readable."""
    asked = []
    if os.environ.get("DROPVIZ_STORE", "").startswith("postgresql"):
        asked.append(("psycopg", "a store on PostgreSQL"))
    if os.environ.get("DROPVIZ_ENGINE", "").startswith(("tcp://", "tls://")):
        asked.append(("distributed", "a Dask cluster"))
    for package, what in asked:
        if not _importable(package):
            todo = "pip install -c constraints.txt -r requirements-cluster.txt"
            yield "problem", f"{what} needs {package}, which is not installed", todo
    for name in ("DROPVIZ_TLS_CA", "DROPVIZ_TLS_CERT", "DROPVIZ_TLS_KEY"):
        path = os.environ.get(name)
        if path and not os.access(path, os.R_OK):
            yield (
                "problem",
                f"{name} = {json.dumps(path)} cannot be read",
                "Name a file that this user may read.",
            )
    yield "ok", ", ".join(what for _, what in asked) or "not asked for", ""


def _importable(package: str) -> bool:
    from importlib.util import find_spec

    return find_spec(package) is not None


@check("chromium")
def chromium(_: Context) -> Iterator[Answer]:
    """Only tests and screenshots need one."""
    found = next(filter(None, map(shutil.which, BROWSERS)), None)
    if found:
        yield "ok", f"{found}, for tests", ""
    else:
        yield (
            "warning",
            "none; tests that need a browser are skipped",
            "apt-get install chromium, if you want them.",
        )
