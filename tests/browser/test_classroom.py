"""A class in real browsers: a teacher and two students, each on their own, and an engine that trains."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Browser, Page, expect

from dropviz.classes import ClassDefinition
from dropviz.experiment import preset
from dropviz.store import Classroom
from tests.browser.served import Served, until
from tests.browser.test_lab import button

TINY = ('arms=["none", "dropout"]', "train.steps=60", "model.widths=[8]", "observe.evaluations=4")
TINY += ("observe.statistics=0", "first_seed=7000")


@pytest.fixture
def room(served: Served) -> Classroom:
    """A class of two seeds each, of the command line."""
    spec = preset("classroom").with_settings(TINY)
    definition = ClassDefinition.of(spec, "Tuesday", open=["p"], seeds=2)
    return served.store.classes.create(definition, "command line")


def visitors(chromium: Browser, count: int) -> list[Page]:
    return [chromium.new_context(viewport={"width": 1440, "height": 1000}).new_page() for _ in range(count)]


def test_two_students_run_and_the_teachers_screen_grows(
    page: Page, chromium: Browser, served: Served, room: Classroom
) -> None:
    teacher, students = page, visitors(chromium, 2)
    teacher.goto(f"{served.url}/class?teach={served.store.classes.code(room, 'teach')}")
    teacher.wait_for_url(re.compile(r"class=[0-9a-z-]{19}$"))  # and the teacher's code is gone
    code = served.store.classes.code(room)
    expect(teacher.get_by_text(f"{served.url}/join/{code}")).to_be_visible()
    assert teacher.locator(".dv-qr").evaluate("image => image.naturalWidth") > 0
    for number, student in enumerate(students):
        student.goto(f"{served.url}/join/{code}")
        expect(student.get_by_text(f"You have seat {number + 1}: ").first).to_be_visible()
        expect(teacher.get_by_test_id("stMetricValue").first).to_have_text(str(number + 1))
    teacher.get_by_text("Results", exact=True).click()
    expect(teacher.locator(".dv-headline")).to_contain_text("Results show here as soon as", timeout=60_000)
    for number, student in enumerate(students):
        expect(student.get_by_role("spinbutton", name="Steps")).to_be_disabled()
        expect(student.get_by_role("slider", name="Drop probability p")).to_be_enabled()
        student.get_by_role("button", name="Run my seeds").click()
        expect(student.locator(".dropviz[data-page]")).to_have_attribute("data-state", "done", timeout=60_000)
        expect(teacher.locator(".dv-note")).to_contain_text(
            f"{number + 1} student{'s' * number} · {2 * number + 2} paired seeds"
        )
        expect(teacher.locator(".dv-band")).to_contain_text(f"{2 * number + 2} seeds")
    dots = "document.querySelector('[data-chart=ladder] .dv-plot').data.find(t => t.meta.role === 'seeds').x.length"
    until(teacher, f"{dots} === 4")
    button(teacher, "Close the class").click()
    expect(teacher.get_by_text("This class is closed")).to_be_visible()
    students[0].get_by_text("The class", exact=True).click()
    expect(students[0].locator(".dropviz[data-page]")).to_have_attribute("data-state", "closed")
    expect(students[0].locator(".dv-note")).to_contain_text("2 students · 4 paired seeds")
    expect(button(students[0], "Run")).to_be_disabled()
    for student in students:
        student.context.close()


def test_a_student_comes_back_to_the_same_seat_and_a_changed_link_leads_nowhere(
    page: Page, served: Served, room: Classroom
) -> None:
    code = served.store.classes.code(room)
    for _ in range(2):
        page.goto(f"{served.url}/join/{code}")
        expect(page.get_by_text("You have seat 1: ").first).to_be_visible()
    assert served.store.classes.classroom(room.id).joined == 1
    page.goto(f"{served.url}/join/{code[:-1]}{'2' if code[-1] != '2' else '3'}")
    expect(page.get_by_role("heading", name="This link leads to no class")).to_be_visible()
    expect(page.get_by_text("check it, or ask your teacher for it again.")).to_be_visible()


def test_what_the_form_holds_is_taught_in_four_presses(page: Page, served: Served) -> None:
    page.goto(f"{served.url}/lab")
    button(page, "Teach this").click()
    page.get_by_role("textbox", name="Title").fill("From the form")
    page.get_by_role("button", name="Create the class").click()
    page.wait_for_url(re.compile(r"/class\?class=[0-9a-z-]{19}$"))
    expect(page.get_by_role("heading", name="From the form")).to_be_visible()
    expect(page.locator(".dv-qr")).to_be_visible()
