"""Labels drawn from a known softmax model: its entropy is the smallest cross-entropy that any model can reach."""

from __future__ import annotations

from typing import ClassVar, Literal, Self

from pydantic import Field, model_validator

from dropviz.choices import SpecError
from dropviz.datasets.dataset import Dataset, Splits, label_noise_knob, split, with_label_noise
from dropviz.datasets.optimum import cosine_basis, softmax_optimum
from dropviz.streams import generator
from dropviz.task import Task, classification

HELD_OUT = 4000  # validation and test together


class TeacherSoftmax(Dataset):
    """x ~ N(0, I) and a label drawn from softmax(Wx); the rows of W are orthogonal, each of length ``scale``.

    W is the same for all seeds. The labels of validation and test are drawn too, so no model gets all of them right.
    """

    name: Literal["teacher-softmax"] = "teacher-softmax"
    train_size: int = Field(
        500, ge=16, le=10_000, title="Training examples", description="Drawn afresh for each seed."
    )
    classes: int = Field(10, ge=2, le=20, title="Classes", description="No more than there are features.")
    dimension: int = Field(
        50,
        ge=2,
        le=200,
        title="Features",
        description="The teacher looks at as many directions as there are classes.",
    )
    scale: float = Field(
        3.0,
        ge=0,
        le=8,
        title="Scale of the teacher",
        description="Standard deviation of its logits: 0 is pure chance, 8 nearly certain labels.",
    )
    label_noise: float = label_noise_knob(0.0, "all classes")

    title: ClassVar[str] = "Teacher softmax (known optimum)"
    origin: ClassVar[str] = "generated"
    licence: ClassVar[str] = "none needed"

    @model_validator(mode="after")
    def _teacher_fits(self) -> Self:
        if self.classes > self.dimension:
            raise SpecError(
                f"classes = {self.classes} is not possible with dimension = {self.dimension}: lower it, or raise dimension."
            )
        return self

    @property
    def task(self) -> Task:
        """As many classes and features as the knobs say."""
        return classification((self.dimension,), classes=self.classes)

    def load(self, seed: int) -> Splits:
        """Draw fresh examples for this seed and labels for them, then redraw training labels."""
        random = generator(seed, "data/teacher-softmax")
        x = random.standard_normal((self.train_size + HELD_OUT, self.dimension))
        logits = self.scale * x @ cosine_basis(self.classes, self.dimension).T
        y = (logits + random.gumbel(size=logits.shape)).argmax(axis=1)  # a draw from the softmax
        splits = split(x, y, train_size=self.train_size, seed=seed)
        return with_label_noise(splits, self.label_noise, classes=self.classes, seed=seed)

    def references(self, seed: int) -> dict[str, float]:
        """Of the teacher; the same for all seeds, since it is of the distribution and not of a sample."""
        return softmax_optimum(self.scale, self.classes)
