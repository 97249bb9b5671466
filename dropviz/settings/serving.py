"""How it is served: where jobs run, names and certificates, tokens, logs."""

from __future__ import annotations

import logging
import os
import re
from pathlib import Path
from urllib.parse import urlsplit

LOOPBACK = ("localhost", "127.0.0.1", "::1")
SHORTEST_TOKEN = 16


def engine() -> str:
    """Where jobs run: ``$DROPVIZ_ENGINE``.

    ``local``, the default, is an engine that the page's process, or a command, keeps for as long as it needs one. With ``none``
    they start none: engines run elsewhere (``dropviz engine``). With the URL of a Dask scheduler the engine has its cluster do
    the work.

    Raises:
        ValueError: ``DROPVIZ_ENGINE`` is no such thing, or would send work unencrypted over a network.
    """
    text = os.environ.get("DROPVIZ_ENGINE", "").strip() or "local"
    if text not in ("local", "none"):
        _check_scheduler(text)
    return text


def _check_scheduler(url: str) -> None:
    """Whoever can talk to a scheduler can have its workers run code, so beyond this machine it takes certificates."""
    named = f"DROPVIZ_ENGINE = {url!r}"
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        host = port = None
    if (
        not host
        or not port
        or parts.scheme not in ("tcp", "tls")
        or url != f"{parts.scheme}://{parts.netloc}"
    ):
        raise ValueError(
            f"{named} is no engine: write local, none, tls://HOST:PORT, or on this machine tcp://127.0.0.1:PORT."
        )
    address = parts.netloc.rpartition("@")[2]
    if address != parts.netloc:
        raise ValueError(
            f"DROPVIZ_ENGINE names a user, but a Dask scheduler knows none: write {parts.scheme}://{address}."
        )
    if parts.scheme == "tcp" and host not in LOOPBACK:
        raise ValueError(
            f"{named} would go over a network unencrypted, and anybody there could run code on the workers: write"
            f" tls://{address}, and name certificates in DROPVIZ_TLS_CA, DROPVIZ_TLS_CERT and DROPVIZ_TLS_KEY."
        )


def tls_files() -> dict[str, Path]:
    """The files that an engine proves itself with: ``$DROPVIZ_TLS_CA``, ``_CERT`` and ``_KEY``, as ``ca``, ``cert``, ``key``.

    Raises:
        ValueError: One of them is not set, or cannot be read.
    """
    found = {}
    for part in ("ca", "cert", "key"):
        variable = f"DROPVIZ_TLS_{part.upper()}"
        path = Path(os.path.expanduser(os.environ.get(variable, "").strip() or "."))
        if path == Path():
            raise ValueError(
                f"{variable} is not set, and a tls:// engine needs it: name a file in PEM format."
            )
        try:
            path.open("rb").close()
        except OSError as error:
            raise ValueError(
                f"{variable} = {str(path)!r} cannot be read ({error.strerror}): name a file in PEM format."
            ) from None
        found[part] = path.absolute()
    return found


def hosts() -> tuple[str, ...] | None:
    """The names that the server is reached by, beside those of this computer: ``$DROPVIZ_HOSTS``, with commas between them.

    Returns:
        None where nothing is set: then one that listens to the network answers to any name.

    Raises:
        ValueError: One of them is not a name or an address.
    """
    text = os.environ.get("DROPVIZ_HOSTS", "").strip()
    if not text:
        return None
    names = tuple(part.strip().lower().strip("[]") for part in text.split(",") if part.strip())
    for name in names:
        if not re.fullmatch(r"[a-z0-9.:_-]+", name) or name.count(":") == 1:
            raise ValueError(
                f"DROPVIZ_HOSTS names {name!r}, which is no name of a server: write names as in dropviz.example.org, without port."
            )
    return names


def admin_token() -> str | None:
    """What an administrator types: ``$DROPVIZ_ADMIN_TOKEN``, or what the file that ``$DROPVIZ_ADMIN_TOKEN_FILE`` names holds.

    Returns:
        The token, or None where neither is set: then there is no administration.

    Raises:
        ValueError: Both are set, the file cannot be read, or the token is too short to be safe.
    """
    return _token("DROPVIZ_ADMIN_TOKEN")


def metrics_are_served() -> bool:
    """Whether ``/metrics`` is there: with ``$DROPVIZ_METRICS`` = 1 for everybody, else for who has the ``metrics_token``.

    Raises:
        ValueError: ``DROPVIZ_METRICS`` is neither 0 nor 1, or the token cannot be used.
    """
    return _choice("DROPVIZ_METRICS", "0", "1") == "1" or metrics_token() is not None


def metrics_token() -> str | None:
    """What a scrape of ``/metrics`` has to send: ``$DROPVIZ_METRICS_TOKEN``, or what the file ``…_TOKEN_FILE`` holds; None: nothing.

    Raises:
        ValueError: As with ``admin_token``.
    """
    return _token("DROPVIZ_METRICS_TOKEN")


def _token(variable: str) -> str | None:
    """A secret, from a variable or from a file; no message repeats it."""
    text, file = (os.environ.get(name, "").strip() for name in (variable, f"{variable}_FILE"))
    if text and file:
        raise ValueError(f"{variable} and {variable}_FILE are both set: keep one of them.")
    if file:
        try:
            text = Path(file).expanduser().read_text("utf-8").strip()
        except (OSError, RuntimeError, UnicodeDecodeError) as error:
            raise ValueError(
                f"{variable}_FILE = {file!r} cannot be read ({error}): name a text file."
            ) from None
    if not text and not file:
        return None
    if len(text) < SHORTEST_TOKEN:
        raise ValueError(
            f"{variable} has {len(text)} characters: give it at least {SHORTEST_TOKEN}, such as those of"
            " `openssl rand -hex 16`."
        )
    return text


def log_format() -> str:
    """How processes log: ``$DROPVIZ_LOG``, which is ``text``, the default, or ``json``.

    Raises:
        ValueError: It is neither.
    """
    return _choice("DROPVIZ_LOG", "text", "json")


def log_level() -> int:
    """From which level on they log: ``$DROPVIZ_LOG_LEVEL``, of which ``info`` is the default.

    Raises:
        ValueError: It is not a level.
    """
    return getattr(logging, _choice("DROPVIZ_LOG_LEVEL", "info", "debug", "warning", "error").upper())


def _choice(variable: str, default: str, *others: str) -> str:
    text = os.environ.get(variable, "").strip().lower() or default
    if text not in (default, *others):
        raise ValueError(f"{variable} = {text!r} is not possible: choose {', '.join((default, *others))}.")
    return text
