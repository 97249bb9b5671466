"""Experiments: what to run, validated, canonical and hashed. Nothing here trains."""

from dropviz.choices import SpecError
from dropviz.experiment.files import load_spec, preset, preset_names
from dropviz.experiment.groups import LanguageChoices, ObserveChoices, SurrogateChoices, TrainChoices
from dropviz.experiment.keys import code_version, result_key, surrogate_choices
from dropviz.experiment.spec import (
    DEFAULT_ARMS,
    EVALUATION_STREAMS,
    ExperimentSpec,
    evaluation_interval,
    evaluation_steps,
)

__all__ = [
    "DEFAULT_ARMS",
    "EVALUATION_STREAMS",
    "ExperimentSpec",
    "LanguageChoices",
    "ObserveChoices",
    "SpecError",
    "SurrogateChoices",
    "TrainChoices",
    "code_version",
    "evaluation_interval",
    "evaluation_steps",
    "load_spec",
    "preset",
    "preset_names",
    "result_key",
    "surrogate_choices",
]
