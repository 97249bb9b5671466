"""How every process logs: one line an event, on stderr, as text or JSON, with the ids of what it is about and no secrets.

A line has the time (UTC), the level, the process's role (serve, page, keeper, engine, child), the event, and what ``of`` was given. Links of
experiments and of classes, which are all that protects these, and the ids of visitors are cut to a short hash in every line. What cannot
be printed is escaped, so that nothing that somebody sends ends a line or steers the terminal that shows it.
"""

from __future__ import annotations

import hashlib
import io
import json
import logging
import re
import sys
import time
from typing import Any

from dropviz import settings

SECRET_FIELDS = ("experiment", "sweep", "view")
HEXADECIMAL = re.compile(r"\b[0-9a-f]{32,}\b")  # ids of experiments, sweeps, visitors; digests, too
CLASS_LINK = re.compile(r"((?:/join/|(?:class|teach|token)[=-]))[\w-]{8,}")
FOREIGN = ("streamlit", "uvicorn", "websockets")


def configure(role: str, **fields: object) -> None:
    """Log from here on as the settings say; a second call replaces the first.

    Args:
        role: What this process is.
        fields: What all of its lines are about, such as the job of a child.

    Raises:
        ValueError: ``DROPVIZ_LOG`` or ``DROPVIZ_LOG_LEVEL`` is none of its choices.
    """
    formatter = {"json": AsJson, "text": AsText}[settings.log_format()](role, fields)
    handler = logging.StreamHandler(sys.__stderr__)
    handler.setFormatter(formatter)
    logging.basicConfig(handlers=[handler], level=settings.log_level(), force=True)
    logging.captureWarnings(True)


def adopt() -> None:
    """Have the web server's own loggers write through ours, in place of handlers of their own."""
    for name in tuple(logging.root.manager.loggerDict):
        if name.partition(".")[0] in FOREIGN:
            logger = logging.getLogger(name)
            logger.handlers.clear()
            logger.propagate = True
    if settings.log_level() > logging.DEBUG:  # a line a request, many a second, each with somebody's address
        logging.getLogger("uvicorn.access").setLevel(logging.WARNING)


def capture_stderr() -> None:
    """Turn what this process prints to ``sys.stderr`` into lines of the log."""
    sys.stderr = Lines()


def of(**fields: object) -> dict[str, Any]:
    """What an event is about, for ``extra=``: ``logger.info("job starts", extra=of(job=3, attempt=1))``."""
    return {"fields": {key: _said(key, value) for key, value in fields.items() if value is not None}}


def audit(event: str, **fields: object) -> None:
    """Log what somebody did with the rights of an administrator."""
    logging.getLogger("dropviz.administration").info(event, extra=of(**fields))


def short(secret: str) -> str:
    """What stands for a secret id: it tells two apart, and leads nowhere."""
    return hashlib.sha256(secret.encode()).hexdigest()[:8]


def _said(key: str, value: object) -> object:
    return short(str(value)) if key in SECRET_FIELDS else value


class Formatter(logging.Formatter):
    """Takes a record apart; how it is written is up to the derived classes."""

    def __init__(self, role: str, fields: dict[str, object]) -> None:
        super().__init__()
        self.role, self.fields = role, fields

    def table(self, record: logging.LogRecord) -> dict[str, object]:
        """The parts of a line, in order; ``traceback`` last, if there is one."""
        seconds = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
        table: dict[str, object] = {
            "time": f"{seconds}.{int(record.msecs):03d}Z",
            "level": record.levelname.lower(),
            "role": self.role,
            "event": _without_secrets(record.getMessage()),
            **self.fields,
            **{
                key: _without_secrets(value) if isinstance(value, str) else value
                for key, value in getattr(record, "fields", {}).items()
            },
        }
        if record.exc_info:
            table["traceback"] = _without_secrets(self.formatException(record.exc_info))
        return table


class AsJson(Formatter):
    """One JSON object a line."""

    def format(self, record: logging.LogRecord) -> str:
        """The line."""
        table = self.table(record) | {"logger": record.name}
        return _printable(json.dumps(table, ensure_ascii=False, default=str))


class AsText(Formatter):
    """``time level role: event key=value …``, a traceback in the lines after it, which are indented as no other line is."""

    def format(self, record: logging.LogRecord) -> str:
        """The line, or lines."""
        table = self.table(record)
        traceback = table.pop("traceback", None)
        at, level, role, event = (str(table.pop(key)) for key in ("time", "level", "role", "event"))
        about = "".join(f" {key}={_quoted(value)}" for key, value in table.items())
        lines = [f"{at} {level} {role}: {_printable(event.rstrip())}{about}"]
        if traceback:
            lines += [f"  {_printable(one)}" for one in str(traceback).split("\n")]
        return "\n".join(lines)


def _quoted(value: object) -> str:
    text = str(value)
    if text and text.isprintable() and not re.search(r'[\s"=]', text):
        return text
    return _printable(json.dumps(text, ensure_ascii=False))


def _printable(text: str) -> str:
    """The text with escapes in place of what ends a line, or steers a terminal, or turns the direction of writing."""
    return "".join(one if one.isprintable() else json.dumps(one)[1:-1] for one in text)


def _without_secrets(text: str) -> str:
    text = HEXADECIMAL.sub(lambda match: f"#{short(match[0])}", text)
    return CLASS_LINK.sub(r"\1…", text)


class Lines(io.TextIOBase):
    """A stream whose lines go to the log."""

    logger = logging.getLogger("stderr")

    def __init__(self) -> None:
        self._rest = ""

    def write(self, text: str) -> int:
        """Log the lines that are complete, and keep the rest."""
        *lines, self._rest = (self._rest + text).split("\n")
        for line in lines:
            if line.strip():
                self.logger.warning("%s", line)
        return len(text)

    def flush(self) -> None:
        """Nothing waits here but an unfinished line."""

    def fileno(self) -> int:
        """The descriptor below, for who writes to it directly."""
        return 2

    def isatty(self) -> bool:
        """Never."""
        return False
