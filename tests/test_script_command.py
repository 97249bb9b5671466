"""``dropviz script`` as a person runs it."""

from __future__ import annotations

from pathlib import Path

import pytest

from dropviz.cli import main


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as ended:
        main(["script", *arguments])
    said = capsys.readouterr()
    return int(ended.value.code or 0), said.out, said.err


def test_a_script_goes_to_the_output_and_nothing_else_does(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = run(capsys, "--preset", "classroom", "--arm", "explicit+implicit", "--seed", "4")
    assert (code, err) == (0, "")
    compile(out, "train.py", "exec")
    assert "SEED = 4  #" in out


def test_the_first_seed_and_settings_are_the_experiments(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run(capsys, "--preset", "classroom", "--set", "first_seed=7", "--set", "train.steps=9")
    assert code == 0
    assert "SEED = 7  #" in out
    assert "STEPS = 9  #" in out


def test_what_belongs_beside_a_script_needs_a_folder(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    prose = ("--preset", "reference-lstm", "--set", "data.vocabulary=50")
    code, out, err = run(capsys, *prose)
    assert (code, out) == (2, "")
    assert (
        err
        == "dropviz: The script reads data.npz, which belongs beside it: say where to, with --out FOLDER.\n"
    )
    code, _, err = run(capsys, *prose, "--out", str(tmp_path / "new"))
    assert code == 0
    assert sorted(path.name for path in (tmp_path / "new").iterdir()) == ["data.npz", "train.py"]
    assert "train.py, data.npz" in err


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("--arm", "dropuot"), "'dropuot' is not an arm"),
        (
            ("--set", "data=diabetes", "--arm", "explicit-argmax", "--set", "arms=['none']"),
            "cannot train on diabetes",
        ),
        (("--seed", "-1"), "--seed"),
        (("--out", "/proc/none/such"), "/proc/none"),
    ],
)
def test_bad_input_is_one_sentence(
    arguments: tuple[str, ...], sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    code, out, err = run(capsys, "--preset", "classroom", *arguments)
    assert code in (1, 2)
    assert out == ""
    assert sentence in err
    assert len(err.splitlines()) == 1
