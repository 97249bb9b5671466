"""``dropviz data`` as a person runs it, against a server on this machine."""

from __future__ import annotations

import json
import os
import pty
import re
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest

from dropviz.cli import main
from dropviz.datasets import fashion_mnist, registry
from dropviz.datasets.cifar_10 import Cifar10
from dropviz.datasets.digits import Digits
from dropviz.datasets.mnist import Mnist
from tests.downloads.server import Server, plain, whole
from tests.downloads.small import remote, wait_until

ROOT = Path(__file__).resolve().parents[2]
ONE, TWO = b"one" * 50_000, b"two" * 20_000


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, server: Server) -> Path:
    """MNIST is two small files on our server."""
    monkeypatch.setenv("DROPVIZ_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(fashion_mnist, "DEBIAN", tmp_path / "debian")
    monkeypatch.setattr(Mnist, "files", (remote(f"{server.url}/one", ONE), remote(f"{server.url}/two", TWO)))
    server.gives(whole(ONE), whole(TWO))
    return tmp_path / "cache"


def data(*arguments: str) -> int:
    with pytest.raises(SystemExit) as ended:
        main(["data", *arguments])
    assert isinstance(ended.value.code, int)
    return ended.value.code


def states(capsys: pytest.CaptureFixture[str]) -> dict[str, str]:
    assert data("list", "--json") == 0
    return {row["name"]: row["state"] for row in json.loads(capsys.readouterr().out)}


# list.


def test_every_data_set_has_a_line_in_aligned_columns(capsys: pytest.CaptureFixture[str]) -> None:
    assert data("list") == 0
    head, *lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == sorted(registry.members)
    starts = [head.index(word) for word in ("name", "state", "size", "licence", "title")]
    for line in lines:
        cells = [line[a:b].strip() for a, b in zip(starts, [*starts[1:], None], strict=True)]
        kind = registry.members[cells[0]]
        assert cells[3] == kind.licence
        assert cells[4].startswith(kind.title)
    assert re.search(r"^mnist +to be fetched +210\.0 kB +CC BY-SA 3\.0", "\n".join(lines), re.MULTILINE)


def test_the_state_follows_what_is_there(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    before = states(capsys)
    assert set(before) == set(registry.members)
    wanted = {"digits": "built in", "mnist": "to be fetched", "fashion-mnist": "to be fetched"}
    assert before | wanted == before
    assert data("fetch", "mnist") == 0
    fashion_mnist.DEBIAN.mkdir()
    for file in fashion_mnist.FashionMnist.files:
        (fashion_mnist.DEBIAN / file.name).touch()
    monkeypatch.setattr(Digits, "missing", lambda self: "scikit-learn is not installed: pip install it.")
    capsys.readouterr()
    after = states(capsys)
    assert (after["mnist"], after["fashion-mnist"], after["digits"]) == ("cached", "installed", "not here")
    data("list")
    assert "Digits (8 × 8 images). scikit-learn is not installed: pip install it." in capsys.readouterr().out
    assert data("fetch", "digits") == 1
    assert capsys.readouterr().err == "dropviz: scikit-learn is not installed: pip install it.\n"
    assert data("fetch", "fashion-mnist") == 0
    assert capsys.readouterr().out == "fashion-mnist is installed: nothing to fetch.\n"


def test_a_program_reads_sizes_licences_and_reasons(capsys: pytest.CaptureFixture[str], cache: Path) -> None:
    assert data("list", "--json") == 0
    rows = {row["name"]: row for row in json.loads(capsys.readouterr().out)}
    assert rows["mnist"]["size"] == len(ONE) + len(TWO)
    assert rows["mnist"]["why"] == Mnist().missing()
    assert rows["mnist"]["folder"] == str(cache / "mnist")
    assert (rows["digits"]["size"], rows["digits"]["why"]) == (None, "")
    assert {row["licence"] for row in rows.values()} >= {Cifar10.licence, "MIT"}


# fetch.


def test_fetching_shows_licence_and_size_and_a_second_time_there_is_nothing_to_do(
    capsys: pytest.CaptureFixture[str], cache: Path, server: Server
) -> None:
    assert data("fetch", "mnist") == 0
    out, err = capsys.readouterr()
    assert out.splitlines() == [
        "MNIST (28 × 28 images): 210.0 kB from 127.0.0.1. Licence: CC BY-SA 3.0.",
        f"mnist is verified and in {cache / 'mnist'}.",
    ]
    assert err == ""  # no bar where nobody sees it
    assert {path.name: path.read_bytes() for path in (cache / "mnist").iterdir()} == {"one": ONE, "two": TWO}
    assert data("fetch", "mnist", "digits") == 0
    assert capsys.readouterr().out.splitlines() == [
        f"mnist is already cached in {cache / 'mnist'}.",
        "digits is built in: nothing to fetch.",
    ]
    assert len(server.requests) == 2


def test_a_failed_fetch_is_one_sentence_and_exit_code_1_and_is_gone_on_with(
    capsys: pytest.CaptureFixture[str], cache: Path, server: Server
) -> None:
    server.gives(whole(ONE), plain("404 Not Found"))
    assert data("fetch", "mnist") == 1
    err = capsys.readouterr().err
    assert err.startswith("dropviz: two was not fetched: 127.0.0.1 answered 404 Not Found; ")
    assert len(err.splitlines()) == 1
    server.gives(whole(TWO))
    assert data("fetch", "mnist") == 0
    assert [request.path for request in server.requests] == ["/two"]


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("fetch", "mnist", "mnits"), "'mnits' is not a data set: choose one of "),
        (("fetch", "mnits"), "did you mean 'mnist'?"),
        (("fetch", "MNIST"), "'MNIST' is not a data set"),
        (("fetch",), "NAME"),
        (("fetsch",), "fetsch"),
        (("list", "--xml"), "--xml"),
    ],
    ids=" ".join,
)
def test_bad_input_is_one_sentence_and_exit_code_2_and_nothing_is_fetched(
    arguments: tuple[str, ...],
    sentence: str,
    capsys: pytest.CaptureFixture[str],
    cache: Path,
    server: Server,
) -> None:
    assert data(*arguments) == 2
    err = capsys.readouterr().err
    assert sentence in err
    assert err.startswith("dropviz: ")
    assert len(err.splitlines()) == 1
    assert server.requests == []
    assert not cache.exists()


def test_a_cache_that_cannot_be_used_is_bad_input(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DROPVIZ_CACHE", __file__)
    for arguments in (("list",), ("fetch", "mnist")):
        assert data(*arguments) == 2
        assert f"DROPVIZ_CACHE = '{__file__}' is not a directory" in capsys.readouterr().err


# In a terminal.

COMMAND = f"""
import sys
sys.path.insert(0, {str(ROOT)!r})
from dropviz.cli import main
from dropviz.datasets.mnist import Mnist
from dropviz.downloads import RemoteFile
Mnist.files = tuple(RemoteFile(url=u, size=int(s), sha256=h) for u, s, h in zip(*[iter(sys.argv[1:])] * 3))
main(["data", "fetch", "mnist"])
"""


def in_terminal(terminal: int) -> subprocess.Popen[bytes]:
    facts = [text for file in Mnist.files for text in (file.url, str(file.size), file.sha256)]
    return subprocess.Popen(
        [sys.executable, "-c", COMMAND, *facts],
        env=os.environ | {"TERM": "xterm", "COLUMNS": "100"},
        stdin=terminal,
        stdout=terminal,
        stderr=terminal,
        preexec_fn=lambda: signal.signal(
            signal.SIGINT, signal.SIG_DFL
        ),  # which a job in the background ignores
    )


def everything_from(terminal: int) -> str:
    text = b""
    with suppress(OSError):  # the other side is closed
        while more := os.read(terminal, 65536):
            text += more
    os.close(terminal)
    return text.decode()


def test_a_terminal_shows_a_bar_that_fills(cache: Path) -> None:
    ours, theirs = pty.openpty()
    process = in_terminal(theirs)
    os.close(theirs)
    text = everything_from(ours)
    assert process.wait(30) == 0, text
    assert "━━━" in text
    assert "210.0/210.0 kB" in text
    assert (cache / "mnist" / "two").read_bytes() == TWO


def test_an_interrupted_fetch_is_exit_code_130_and_keeps_what_came(
    capsys: pytest.CaptureFixture[str], cache: Path, server: Server
) -> None:
    server.gives(whole(ONE, cut=60_000, hold=True))
    ours, theirs = pty.openpty()
    process = in_terminal(theirs)
    os.close(theirs)
    part = cache / "mnist" / "one.part"
    wait_until(lambda: part.exists() and part.stat().st_size == 60_000)
    process.send_signal(signal.SIGINT)
    text = everything_from(ours)
    assert process.wait(30) == 130, text
    assert "stopped; what came is kept" in text
    assert "Traceback" not in text
    server.gives(whole(ONE), whole(TWO))
    assert data("fetch", "mnist") == 0
    assert server.starts == [60_000, 0]
