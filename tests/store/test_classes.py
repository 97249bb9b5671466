"""A class: one seat each, however many come at once; what is locked stays locked; one run at a time."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from sqlalchemy import update

from dropviz import settings
from dropviz.choices import SpecError
from dropviz.classes import ClassDefinition
from dropviz.experiment import ExperimentSpec
from dropviz.store import ClassRefusal, Classroom, Store, UnknownClass
from dropviz.store.schema import experiments

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def room(store: Store, spec: ExperimentSpec) -> Classroom:
    """A class of two seeds each, in which p is open."""
    return store.classes.create(ClassDefinition.of(spec, "Tuesday", open=["p"], seeds=2), "teacher")


def finish_all(store: Store) -> None:
    while claim := store.claim("worker"):
        assert store.finish(claim.job_id, claim.attempt, "done")


def start(room: Classroom) -> ExperimentSpec:
    return room.definition.start()


def test_a_link_leads_to_its_class_however_it_is_typed(store: Store, room: Classroom) -> None:
    code = store.classes.code(room)
    assert store.classes.by_code(code) == room
    assert store.classes.by_code(f" {code.upper().replace('-', ' ')} ") == room


def test_a_link_that_is_not_of_this_server_is_refused_in_one_sentence(
    store: Store, room: Classroom, spec: ExperimentSpec, tmp_path: Path
) -> None:
    elsewhere = Store.open(tmp_path / "elsewhere.db")
    foreign = elsewhere.classes.create(room.definition, "teacher")
    codes = [elsewhere.classes.code(foreign), "", "nonsense", "x" * 5000, "σ" * 16]
    codes += [store.classes.code(room, "teach")]
    code = store.classes.code(room)
    for place, letter in enumerate(code):
        if letter != "-":
            codes.append(code[:place] + ("2" if letter != "2" else "3") + code[place + 1 :])
    for wrong in codes:
        with pytest.raises(UnknownClass, match=r"^This is no link to a class on this server: .*\.$"):
            store.classes.by_code(wrong)
    elsewhere.close()


def test_a_definition_that_was_changed_in_the_database_has_no_link(store: Store, room: Classroom) -> None:
    code = store.classes.code(room)
    with store.database.write() as connection:
        connection.exec_driver_sql(
            """UPDATE classes SET definition = replace(definition, '["p"]', '["data"]')"""
        )
    with pytest.raises(UnknownClass):
        store.classes.by_code(code)


def test_the_link_of_the_teacher_makes_its_holder_the_teacher_and_that_of_students_does_not(
    store: Store, room: Classroom
) -> None:
    with pytest.raises(UnknownClass):
        store.classes.take_over(store.classes.code(room), "mallory")
    assert store.classes.take_over(store.classes.code(room, "teach"), "colleague").owner == "colleague"
    assert [found.id for found in store.classes.of("colleague")] == [room.id]
    assert store.classes.of("teacher") == []


def test_threads_that_join_at_once_get_seats_of_their_own(store: Store, room: Classroom) -> None:
    together = threading.Barrier(16)

    def come(number: int) -> int:
        together.wait()
        return store.classes.join(room.id, f"visitor {number // 2}")  # each comes twice

    with ThreadPoolExecutor(16) as threads:
        seats = list(threads.map(come, range(16)))
    assert seats[::2] == seats[1::2]
    assert sorted(seats[::2]) == list(range(8))
    assert store.classes.classroom(room.id).joined == 8


JOIN = """
import sys
from dropviz.store import Store
store = Store.open(sys.argv[1], verify=False)
print("ready", flush=True)
sys.stdin.readline()
print(*(store.classes.join(sys.argv[2], f"{sys.argv[3]}/{n}") for n in range(20)))
"""


def test_processes_that_join_at_once_get_seats_of_their_own(store: Store, room: Classroom) -> None:
    command = [sys.executable, "-c", JOIN, settings.store_url(), room.id]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True, "cwd": ROOT}
    processes = [subprocess.Popen([*command, str(number)], **pipes) for number in range(3)]  # type: ignore[call-overload]
    for process in processes:
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        process.stdin.write("go\n")
        process.stdin.flush()
    said = [process.communicate(timeout=60)[0].split() for process in processes]
    assert sorted(int(seat) for line in said for seat in line) == list(range(60))


def test_who_comes_back_has_the_seat_of_before(store: Store, room: Classroom) -> None:
    assert [store.classes.join(room.id, name) for name in ("ada", "bob", "ada")] == [0, 1, 0]
    assert store.classes.seat(room.id, "carol") is None


def test_seats_deal_seeds_that_nobody_else_has(store: Store, room: Classroom) -> None:
    dealt = []
    for name in ("ada", "bob", "carol"):
        found = store.experiment(store.classes.submit(room.id, name, start(room)))
        assert (found.origin, found.owner) == ("class", name)
        dealt.append(list(found.spec.seed_list()))
    assert dealt == [[0, 1], [2, 3], [4, 5]]


def test_whatever_seeds_a_form_says_the_seat_decides(store: Store, room: Classroom) -> None:
    store.classes.join(room.id, "ada")
    forged = start(room).with_settings(["first_seed=0"])
    assert store.experiment(store.classes.submit(room.id, "bob", forged)).spec.first_seed == 2


@pytest.mark.parametrize(
    "forgery",
    [
        "train.steps=41",
        "data=two-moons",
        "data.label_noise=0.1",
        'arms=["none", "dropout"]',
        "model=linear",
        "seeds=50",
        "observe.refreshes=30",
    ],
)
def test_what_is_locked_is_refused_in_one_sentence_and_nothing_is_queued(
    store: Store, room: Classroom, forgery: str
) -> None:
    with pytest.raises(SpecError, match=r"is not possible in this class, where [\w.]+ is locked: .*\.$"):
        store.classes.submit(room.id, "mallory", start(room).with_settings([forgery]))
    assert not store.has_queued()
    assert store.classes.jobs(room.id) == []


def test_what_is_open_may_be_anything(store: Store, room: Classroom) -> None:
    view_id = store.classes.submit(room.id, "ada", start(room).with_settings(["p=0.1"]))
    assert store.experiment(view_id).spec.p == 0.1


def test_one_run_at_a_time_and_after_it_the_next(store: Store, room: Classroom) -> None:
    first = store.classes.submit(room.id, "ada", start(room))
    store.classes.submit(room.id, "bob", start(room))  # others are not in the way
    other = start(room).with_settings(["p=0.1"])
    with pytest.raises(ClassRefusal, match="You have a run under way in this class"):
        store.classes.submit(room.id, "ada", other)
    store.request(first, "stop")
    store.classes.submit(room.id, "ada", other)
    finish_all(store)
    store.classes.submit(room.id, "ada", start(room))


def test_many_presses_at_once_start_one_run(store: Store, room: Classroom) -> None:
    together = threading.Barrier(8)

    def press(number: int) -> bool:
        spec = start(room).with_settings([f"p={number / 10}"])
        together.wait()
        try:
            store.classes.submit(room.id, "ada", spec)
        except ClassRefusal:
            return False
        return True

    with ThreadPoolExecutor(8) as threads:
        assert sum(threads.map(press, range(8))) == 1


def test_a_closed_class_takes_nobody_in_and_runs_nothing_until_it_is_opened_again(
    store: Store, room: Classroom
) -> None:
    store.classes.join(room.id, "ada")
    store.classes.close(room.id)
    for attempt in (
        lambda: store.classes.join(room.id, "bob"),
        lambda: store.classes.submit(room.id, "ada", start(room)),
    ):
        with pytest.raises(ClassRefusal, match="This class is closed"):
            attempt()
    assert store.classes.join(room.id, "ada") == 0  # whose seat it is stays known
    assert store.classes.by_code(store.classes.code(room)).joined == 1
    store.classes.close(room.id, closed=False)
    assert store.classes.join(room.id, "bob") == 1


def test_a_class_that_has_expired_says_when(store: Store, spec: ExperimentSpec) -> None:
    definition = ClassDefinition.of(spec, "Yesterday", expires_at=time.time() - 60)
    room = store.classes.create(definition, "teacher")
    with pytest.raises(
        ClassRefusal, match=r"^This class ended on \d+ \w+ \d{4}, \d\d:\d\d: nothing new .*\.$"
    ):
        store.classes.submit(room.id, "ada", definition.start())


def test_the_jobs_of_a_class_are_those_of_its_members_that_nobody_deleted(
    store: Store, room: Classroom, spec: ExperimentSpec
) -> None:
    store.submit(spec, owner="ada")  # seeds 0 to 2, by herself, outside the class
    inside = store.classes.submit(room.id, "ada", start(room))
    gone = store.classes.submit(room.id, "bob", start(room))
    with store.database.write() as connection:
        connection.execute(update(experiments).where(experiments.c.id == gone).values(deleted_at=1))
    (job,) = store.classes.jobs(room.id)
    assert (job.experiment_id, job.arm, job.state) == (inside, "none", "queued")
    assert store.classes.places(job) == [("none", 0, 0), ("none", 1, 1)]  # of the three that the job trains
