"""The long form: ``python -m tests.fuzz [INPUTS] [SEED]``, by default 12,000 inputs over all subjects; ends with 1 if one found something."""

from __future__ import annotations

import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from tests.fuzz.feeding import feed
from tests.fuzz.subjects import SHARES, Subject, subjects
from tests.fuzz.world import world

INPUTS = 12_000


def main(total: int = INPUTS, number: int = 0) -> int:
    """Feed them all; print a line a subject."""
    found = 0
    with tempfile.TemporaryDirectory() as folder, world(Path(folder)) as made:
        known = subjects(made)
        shares = {name: SHARES.get(name, 1.0) for name in known}
        counts: Counter[str] = Counter()
        for name, subject in known.items():
            began, answers = time.monotonic(), Counter[str]()
            wanted = -(-total * shares[name] // sum(shares.values()))
            problem = finding(subject, int(wanted), number, Path(folder), answers)
            seconds = time.monotonic() - began
            counts += answers
            print(
                f"{name:28} {answers.total():6,} inputs, {answers['refused']:6,} refused in a sentence, {seconds:6.1f} s  {problem}",
                flush=True,
            )
            found += bool(problem)
    print(
        f"{counts.total():,} inputs, {counts['refused']:,} refused in a sentence, {found} subjects with findings"
    )
    return 1 if found else 0


def finding(subject: Subject, count: int, number: int, folder: Path, answers: Counter[str]) -> str:
    """Try so many inputs; returns what the smallest one found, if one did."""
    try:
        feed(subject, count, folder, number, answers)
    except Exception as error:
        where = error.__traceback__
        while where and where.tb_next:
            where = where.tb_next
        place = f"{where.tb_frame.f_code.co_filename}:{where.tb_lineno}" if where else ""
        notes = " ".join(getattr(error, "__notes__", ()))
        return f"FOUND {type(error).__name__}: {str(error)[:300]} at {place} {notes[:400]}"
    return ""


if __name__ == "__main__":
    sys.exit(main(*map(int, sys.argv[1:])))
