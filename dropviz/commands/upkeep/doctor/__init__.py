"""``dropviz doctor``: does everything that serving needs work here, and if not, what is to be done."""

from __future__ import annotations

import json

from dropviz.commands.upkeep.doctor import basics, data, serving  # noqa: F401 - each registers its checks
from dropviz.commands.upkeep.doctor.registry import Finding, run_all

MARKS = {"ok": "ok", "warning": "warning", "problem": "PROBLEM"}


def doctor(port: int, *, as_json: bool) -> int:
    """Check everything and say it, a line a check.

    Returns:
        The exit code: 0 where the Lab can serve, though there may be warnings; else 1.
    """
    findings = run_all(port)
    if as_json:
        print(json.dumps([vars(finding) for finding in findings], indent=1, ensure_ascii=False))
    else:
        print("\n".join(_line(finding) for finding in findings))
        print(_verdict(findings))
    return 1 if any(finding.state == "problem" for finding in findings) else 0


def _line(finding: Finding) -> str:
    todo = f"\n{'':10}{'':18}→ {finding.todo}" if finding.todo else ""
    return f"{MARKS[finding.state]:10}{finding.check:18}{finding.found}{todo}"


def _verdict(findings: list[Finding]) -> str:
    count = {state: sum(finding.state == state for finding in findings) for state in MARKS}
    if count["problem"]:
        return f"\nThe Lab cannot serve yet: {count['problem']} to mend."
    return "\nThe Lab can serve." + (f" {count['warning']} to look at." if count["warning"] else "")
