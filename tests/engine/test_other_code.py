"""An engine whose code is not that which a run was asked for with computes nothing under the run's keys."""

from __future__ import annotations

import pytest

from dropviz.experiment import ExperimentSpec, keys


def test_a_run_that_was_asked_for_with_other_code_fails_and_says_what_to_do(
    served, tiny: ExperimentSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keys, "code_version", lambda: "edited")
    asked = served.store.submit(tiny)
    monkeypatch.undo()
    assert served.finish(asked) == "failed"
    job = served.job(asked)
    assert job.error == (
        "The engine has other code, or other extensions, than this run was asked for with: restart what serves it"
        " (dropviz serve), then press Run again."
    )
    assert job.step == 0
    again = served.store.submit(tiny)
    assert served.finish(again) == "done"


def test_a_fresh_run_is_known_by_its_key_too(served, tiny: ExperimentSpec) -> None:
    assert served.finish(served.store.submit(tiny, fresh=True)) == "done"
