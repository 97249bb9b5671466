"""``make screenshots``: the pictures of the documentation and of a review, taken from the real page.

``docs/images/lab.png`` is the README's; those of every page, light, dark and on a phone, of a run in each state and of empty pages go to
``test-results/`` for somebody to look at, or all of them to the folder that is named.
"""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, expect, sync_playwright

from dropviz.classes import ClassDefinition
from dropviz.experiment import preset
from dropviz.strategies import examples
from dropviz.sweeps import Axis, Sweep
from tests.browser.served import ROOT, Served, launch, serving

README_PICTURE = ROOT / "docs" / "images" / "lab.png"
REVIEWED = ROOT / "test-results"
DESK = {"width": 1440, "height": 1130}
TALL = {"width": 1440, "height": 2150}
PHONE = {"width": 390, "height": 2600}
LONGER = {"width": 1440, "height": 2900}
LONG_PHONE = {"width": 390, "height": 5200}
DONE = ".dropviz[data-state=done]"
SETTLE = 1500  # milliseconds for fonts and transitions


def main() -> None:
    """Take them all."""
    folder = Path(sys.argv[1]).absolute() if len(sys.argv) > 1 else REVIEWED
    folder.mkdir(parents=True, exist_ok=True)
    README_PICTURE.parent.mkdir(parents=True, exist_ok=True)
    with (
        tempfile.TemporaryDirectory() as data,
        serving(Path(data)) as served,
        sync_playwright() as playwright,
    ):
        browser = launch(playwright)
        take(browser, served, "/", README_PICTURE, DESK)
        take(browser, served, "/", folder / "example-tall.png", TALL)
        take(browser, served, "/", folder / "example-dark.png", TALL, color_scheme="dark")
        take(browser, served, "/", folder / "example-narrow.png", PHONE)
        running = served.store.submit(preset("noisy-digits"))
        take(browser, served, f"/lab?run={running}", folder / "running.png", DESK, until="dropout: step")
        served.store.request(running, "stop")
        take(browser, served, f"/lab?run={running}", folder / "stopped.png", DESK, until="Stopped")
        for name, settings in EXPERIMENTS.items():
            view_id = served.store.submit(preset("classroom").with_settings(settings))
            take(
                browser,
                served,
                f"/lab?run={view_id}",
                folder / f"{name}.png",
                TALL,
                until=ENDS.get(name, DONE),
            )
        text = served.store.submit(preset("markov-lstm").with_settings(TEXT))
        looks: dict[str, dict[str, Any]] = {
            "text": {},
            "text-dark": {"color_scheme": "dark"},
            "text-narrow": {},
        }
        for name, look in looks.items():
            size = LONG_PHONE if name.endswith("narrow") else LONGER
            take(browser, served, f"/lab?run={text}", folder / f"{name}.png", size, until=DONE, **look)
        take_curvature(browser, served, folder)
        take_compare(browser, served, folder)
        take_what_if(browser, served, folder)
        take_class(browser, served, folder)
        take_looks(browser, served, folder, "lessons", "/lessons", until="minutes")
        take_looks(browser, served, folder, "lesson", "/lessons?lesson=masks&step=reveal", until="Recorded")
        take_looks(browser, served, folder, "paper", "/paper", until="Figure 5")
        take(
            browser,
            served,
            "/lab?run=" + "0" * 32,
            folder / "unknown.png",
            DESK,
            until="This run is not here",
        )
        served.store.submit(preset("noisy-digits").with_settings(["first_seed=50"]), owner="somebody")
        take_looks(browser, served, folder, "system", "/system", until="Queue")
        browser.close()
    print(f"{README_PICTURE.relative_to(ROOT)} and {len(list(folder.glob('*.png')))} pictures in {folder}")


def take_curvature(browser: Browser, served: Served, folder: Path) -> None:
    """The Curvature page at an early step: in light, in dark, on a phone; without refreshes; and of the example."""
    take(browser, served, "/curvature", folder / "curvature-example.png", TALL, until="of 1,500")
    view_id = served.store.submit(preset("classroom").with_settings(REFRESHED))
    take_looks(browser, served, folder, "curvature", f"/curvature?run={view_id}&step=60", until=DONE)
    bare = served.store.submit(preset("classroom").with_settings(["seeds=1", "observe.refreshes=0"]))
    path = f"/curvature?run={bare}"
    take(browser, served, path, folder / "curvature-unmeasured.png", TALL, until="no curvature refreshes")


def take_compare(browser: Browser, served: Served, folder: Path) -> None:
    """The Compare page with three runs, of which one does not pair: in light, in dark, on a phone; and without any."""
    changes: tuple[list[str], ...] = ([], ["p=0.2"], ["train.batch_size=32"])
    runs = [served.store.submit(preset("classroom").with_settings(change)) for change in changes]
    served.wait_until(lambda: all(served.store.experiment(run).state == "done" for run in runs), "runs end")
    take_looks(browser, served, folder, "compare", f"/compare?runs={','.join(runs)}", until="against cost")
    take(browser, served, "/compare", folder / "compare-empty.png", DESK, until="Tick runs on the left")


def take_what_if(browser: Browser, served: Served, folder: Path) -> None:
    """The What-if page: its questions, and a sweep of two knobs that is done."""
    take_looks(browser, served, folder, "what-if", "/what-if", until="What if")
    axes = [Axis(key="p", values=(0.1, 0.3, 0.5)), Axis(key="width", values=(8, 32))]
    sweep = served.store.sweeps.submit(
        Sweep(base=preset("classroom").with_settings(SWEPT), axes=axes), "somebody"
    )
    take_looks(browser, served, folder, "sweep", f"/what-if?sweep={sweep}", until="Done: 6 of 6 cells")


def take_class(browser: Browser, served: Served, folder: Path) -> None:
    """The Class page before there is a class, a student's seat, and the teacher's screen with what two students ran."""
    take(browser, served, "/class", folder / "class-empty.png", DESK, until="Class")
    spec = preset("classroom").with_settings([*SWEPT, "first_seed=300"])
    classes = served.store.classes
    room = classes.create(ClassDefinition.of(spec, "Tuesday", open=["p"], seeds=3), "command line")
    runs = [classes.submit(room.id, visitor * 32, spec) for visitor in "ab"]
    served.wait_until(lambda: all(served.store.experiment(run).state == "done" for run in runs), "runs end")
    take_looks(browser, served, folder, "student", f"/join/{classes.code(room)}", until="You have seat")
    teacher = f"/class?teach={classes.code(room, 'teach')}"
    take_looks(browser, served, folder, "class", teacher, until="Results")


def take_looks(browser: Browser, served: Served, folder: Path, name: str, path: str, *, until: str) -> None:
    """A page in light, in dark and on a phone."""
    looks: dict[str, tuple[Any, dict[str, Any]]] = {
        name: (LONGER, {}),
        f"{name}-dark": (LONGER, {"color_scheme": "dark"}),
        f"{name}-narrow": (LONG_PHONE, {}),
    }
    for one, (size, look) in looks.items():
        take(browser, served, path, folder / f"{one}.png", size, until=until, **look)


SWEPT = ["train.steps=100", "seeds=3", 'arms=["none","dropout","explicit+implicit"]', "observe.statistics=2"]
REFRESHED = ["data=two-moons", "model.widths=[32,32]", "train.steps=300", "seeds=3"]
REFRESHED += ["observe.statistics=10", "observe.refreshes=6"]
EXPERIMENTS: dict[str, list[str]] = {
    "done": [],
    "moons": ["data=two-moons", "model.widths=[64,64]", "train.steps=600"],
    "one-seed": ["seeds=1", "data=breast-cancer"],
    "every-arm": [f"arms={json.dumps(examples())}", "seeds=4", "train.clip=1.0", "train.schedule=cosine"],
    "failed": ["train.learning_rate=1e6", "model.widths=[128,128]", 'arms=["none"]'],
}
TEXT = [
    "train.steps=200",
    "data.train_tokens=20000",
    "data.held_out_tokens=2000",
    "model.width=32",
    "model.embedding=32",
    "arms=['none','dropout','dropout-8','explicit','explicit+implicit']",
]
ENDS = {"failed": "not finite"}


def take(
    browser: Browser,
    served: Served,
    path: str,
    to: Path,
    size: Any,
    *,
    until: str = "Here dropout",
    **look: Any,
) -> None:
    """Open a page as a new visitor, wait for a text or for what a selector finds, and take its picture."""
    context = browser.new_context(viewport=size, **look)
    page = context.new_page()
    page.goto(served.url + path)
    found = page.locator(until) if until == DONE else page.get_by_text(until)
    expect(found.first).to_be_visible(timeout=120_000)
    page.wait_for_timeout(SETTLE)
    page.screenshot(path=to)
    context.close()


if __name__ == "__main__":
    main()
