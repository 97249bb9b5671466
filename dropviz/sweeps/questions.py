"""Ready-made questions: small sweeps in plain files, which answer within about a minute."""

from __future__ import annotations

import tomllib
from functools import cache
from importlib import resources

from pydantic import Field

from dropviz.choices import Choices, unknown_name
from dropviz.experiment import preset
from dropviz.sweeps.measures import measure_named
from dropviz.sweeps.sweep import Axis, Sweep


class Question(Choices):
    """A question that a sweep answers, as its file has it.

    Attributes:
        title: The question.
        about: What to look for, in a sentence or two.
        preset, settings: The experiment of every cell.
        axes: What is varied.
        show: The measure that answers it.
        seconds: What it takes on an idle machine: processor time when it was written, and 0.1 s a job.
    """

    title: str
    about: str
    preset: str
    settings: tuple[str, ...] = ()
    axes: tuple[Axis, ...] = Field(min_length=1, max_length=2)
    show: str
    seconds: int = Field(ge=1)

    def sweep(self) -> Sweep:
        """The sweep that answers it.

        Raises:
            SpecError: The file holds no sweep, or no measure, that can be.
        """
        base = preset(self.preset).with_settings(self.settings)
        found = Sweep(base=base, axes=self.axes, question=self.title)
        measure_named(found.base, self.show)
        return found


def question_names() -> list[str]:
    """The files' names, in the order of the numbers that they begin with."""
    folder = resources.files("dropviz") / "questions"
    return sorted(
        entry.name.removesuffix(".toml") for entry in folder.iterdir() if entry.name.endswith(".toml")
    )


@cache
def question(name: str) -> Question:
    """A question by the name of its file.

    Raises:
        SpecError: There is no such file.
    """
    if name not in question_names():
        raise unknown_name("question", name, question_names())
    text = (resources.files("dropviz") / "questions" / f"{name}.toml").read_text("utf-8")
    found: Question = Question.from_table(tomllib.loads(text))
    return found
