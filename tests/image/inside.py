"""What is tried with the image, in namespaces without a network: ``python -m tests.image.inside PICTURES ARCHIVE…``."""

from __future__ import annotations

import json
import re
import sys
import time
from http.client import HTTPConnection
from pathlib import Path

from playwright.sync_api import Browser, expect, sync_playwright

from tests.browser.served import answers, launch
from tests.image.backups import take_and_bring_back
from tests.image.cluster import cluster
from tests.image.engine import compose, docker, done, engine, state, until

URL = "http://127.0.0.1:8501"
TINY = [
    "--preset",
    "classroom",
    "--arms",
    "none,dropout",
    "--seeds",
    "2",
    "--set",
    "train.steps=40",
    "--set",
    "observe.refreshes=2",
]
# As the page does it: a command's run would end with its command.
LONG = """
from dropviz.experiment import preset
from dropviz.store import Store
settings = ["arms=none", "seeds=1", "train.steps=900000", "observe.statistics=0"]
Store.open().submit(preset("noisy-digits").with_settings(settings), owner="somebody")
"""
SERVICE = "dropviz-dropviz-1"
SHOWN = re.compile("example|done")  # a finished preset that the image carries, or one that ran in it
JOBS = """
import json
from dropviz.store import Store
print(json.dumps([{"id": each.id, "state": each.state, "step": each.step} for each in Store.open().experiments()]))
"""


def main() -> int:
    """Try all of it; the first thing that does not hold ends it."""
    pictures, *archives = map(Path, sys.argv[1:])
    with engine(), sync_playwright() as playwright:
        for archive in archives:
            docker("load", "--quiet", "--input", str(archive))
        browser = launch(playwright)
        print_size()
        first_look(browser, pictures)
        hardened(browser, pictures)
        cluster()
        browser.close()
    print("All held.")
    return 0


def print_size() -> None:
    """The size of the image and of each of its layers."""
    size = int(docker("image", "inspect", "--format", "{{.Size}}", "dropviz"))
    print(f"\nimage: {size / 1e6:,.0f} MB, in layers:")
    for line in docker(
        "history", "--no-trunc", "--format", "{{.Size}}\t{{.CreatedBy}}", "dropviz"
    ).splitlines():
        amount, _, made_by = line.partition("\t")
        if amount != "0B":
            print(f"  {amount:>8}  {made_by.removeprefix('/bin/sh -c ')[:90]}")


def first_look(browser: Browser, pictures: Path) -> None:
    """The README's line: how long until the Lab shows a finished preset, and until docker calls it healthy."""
    begun = time.monotonic()
    docker("run", "--rm", "--detach", "--name", "first", "--publish", "127.0.0.1:8501:8501", "dropviz")
    answered = until(lambda: answers(8501), "the page answers") and time.monotonic() - begun
    look(browser, "/", pictures / "image-lab.png")
    shown = time.monotonic() - begun
    until(lambda: state("first")["Health"]["Status"] == "healthy", "docker calls it healthy")
    healthy = time.monotonic() - begun
    statuses = [status_for(host) for host in ("localhost:8501", "127.0.0.1:8501", "evil.example:8501")]
    assert statuses == [200, 200, 421], statuses
    print(
        f"\ndocker run: answers after {answered:.1f} s, a finished preset on the screen after {shown:.1f} s,"
    )
    print(f"healthy for docker after {healthy:.1f} s (it looks every 10 s)")
    print(f"memory when idle: {docker('stats', '--no-stream', '--format', '{{.MemUsage}}', 'first')}")
    begun = time.monotonic()
    docker("stop", "first")
    print(f"docker stop, idle: {time.monotonic() - begun:.1f} s")


def hardened(browser: Browser, pictures: Path) -> None:
    """compose.yaml: what the process may do, a run by command and one in the page, a stop in the middle, the data after it."""
    compose("up", "--detach", "--no-build", "--wait")
    print("\ncompose.yaml:")
    print_confinement()
    docker("exec", SERVICE, "dropviz", "run", *TINY, "--out", "/tmp/out")
    written = docker("exec", SERVICE, "ls", "/tmp/out").split()
    assert {"summary.json", "points.parquet", "spec.json"} <= set(written), written
    (tiny,) = jobs()
    assert tiny["state"] == "done", tiny
    look(browser, f"/curvature?run={tiny['id']}", pictures / "image-curvature.png")
    print("  dropviz run in it, its Curvature page: done")
    if "doctor" in docker("exec", SERVICE, "dropviz", "--help"):
        print(docker("exec", SERVICE, "dropviz", "doctor"))
    docker("exec", SERVICE, "python", "-c", LONG)
    until(
        lambda: any(job["state"] == "running" and job["step"] > 0 for job in jobs()), "a long run makes steps"
    )
    stop_and_return(tiny["id"])
    move_into_a_new_container(browser, tiny["id"], pictures)
    take_and_bring_back("compose.yaml", taking=0, bringing=1)
    all_is_there(tiny["id"])
    print("  backed up and restored by the document's commands: both runs are there")
    compose("down", "--volumes")


def status_for(host: str) -> int:
    """What the page answers to who comes by a name."""
    connection = HTTPConnection("127.0.0.1", 8501, timeout=30)
    try:
        connection.request("GET", "/lab", headers={"Host": host})
        return connection.getresponse().status
    finally:
        connection.close()


def print_confinement() -> None:
    """What the kernel says of the container's first process, and what it does when it tries."""
    status = dict(
        line.split(":\t", 1)
        for line in docker("exec", SERVICE, "cat", "/proc/1/status").splitlines()
        if ":\t" in line
    )
    assert status["Uid"].split() == ["10001"] * 4, status["Uid"]
    assert not any(int(status[kind], 16) for kind in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")), (
        status
    )
    assert (status["NoNewPrivs"], status["Seccomp"]) == ("1", "2"), status
    for path in ("/opt/dropviz/x", "/etc/x", "/x"):
        assert not done("exec", SERVICE, "touch", path), path
    assert done("exec", SERVICE, "touch", "/data/x", "/tmp/x")
    assert done("exec", "--user", "0", SERVICE, "test", "!", "-w", "/opt/dropviz"), (
        "not even root writes there"
    )
    for tool in ("pip", "cc", "gcc", "make"):
        assert not done("exec", SERVICE, "sh", "-c", f"command -v {tool}"), tool
    assert docker("diff", SERVICE) == "", docker("diff", SERVICE)
    print(
        "  uid 10001, no capabilities, no new privileges, seccomp, nothing but /data and /tmp can be written"
    )


def stop_and_return(known: str) -> None:
    """``docker stop`` in the middle of a run: its time and exit code; the data and the run after the next start."""
    begun = time.monotonic()
    docker("stop", SERVICE)
    took, ended = time.monotonic() - begun, state(SERVICE)
    assert (ended["ExitCode"], ended["OOMKilled"], ended["Pid"]) == (0, False, 0), ended
    print(f"  docker stop in the middle of a run: exit code 0 after {took:.1f} s, no process left")
    docker("start", SERVICE)
    all_is_there(known)
    print("  started again: the finished run is there, the interrupted one goes on")


def move_into_a_new_container(browser: Browser, known: str, pictures: Path) -> None:
    """What an upgrade is: the container is removed, and another one on its volume has the same runs."""
    former = docker("inspect", "--format", "{{.Id}}", SERVICE)
    compose("down")
    assert not done("inspect", SERVICE)
    compose("up", "--detach", "--no-build", "--wait")
    assert docker("inspect", "--format", "{{.Id}}", SERVICE) != former
    all_is_there(known)
    look(browser, f"/curvature?run={known}", pictures / "image-new-container.png")
    print("  a new container on the volume: the finished run is shown, the interrupted one goes on")


def all_is_there(known: str) -> None:
    """The page answers, the finished run is known, and the other one makes steps."""
    until(lambda: answers(8501), "the page answers again")
    after = {job["id"]: job for job in jobs()}
    assert after.pop(known)["state"] == "done"
    ((view_id, _),) = after.items()
    until(
        lambda: any(job["id"] == view_id and job["state"] == "running" for job in jobs()), "the run goes on"
    )


def jobs() -> list[dict[str, object]]:
    """The experiments of the container's store, read in the container."""
    return json.loads(docker("exec", SERVICE, "python", "-c", JOBS))


def look(browser: Browser, address: str, picture: Path) -> None:
    """Open a page, wait until its experiment is shown as done, and take a picture."""
    page = browser.new_page(viewport={"width": 1440, "height": 1130})
    page.goto(URL + address)
    expect(page.locator(".dropviz[data-page]")).to_have_attribute("data-state", SHOWN, timeout=120_000)
    page.wait_for_timeout(1500)
    page.screenshot(path=picture)
    page.close()


if __name__ == "__main__":
    sys.exit(main())
