"""Experiments: what to run, validated, canonical and hashed. Nothing here trains."""

from dropviz.choices import SpecError
from dropviz.experiment.files import load_spec, preset, preset_names
from dropviz.experiment.groups import LanguageChoices, ObserveChoices, SurrogateChoices, TrainChoices
from dropviz.experiment.keys import (
    code_version,
    extension_digests,
    result_key,
    result_keys,
    surrogate_choices,
)
from dropviz.experiment.schedule import (
    evaluation_interval,
    evaluation_steps,
    live_cost,
    live_steps,
    picture_steps,
    probe_rows,
    refresh_steps,
    spread,
    step_rows,
)
from dropviz.experiment.spec import DEFAULT_ARMS, EVALUATION_STREAMS, ExperimentSpec, canonical_json

__all__ = [
    "DEFAULT_ARMS",
    "EVALUATION_STREAMS",
    "ExperimentSpec",
    "LanguageChoices",
    "ObserveChoices",
    "SpecError",
    "SurrogateChoices",
    "TrainChoices",
    "canonical_json",
    "code_version",
    "evaluation_interval",
    "evaluation_steps",
    "extension_digests",
    "live_cost",
    "live_steps",
    "load_spec",
    "picture_steps",
    "preset",
    "preset_names",
    "probe_rows",
    "refresh_steps",
    "result_key",
    "result_keys",
    "spread",
    "step_rows",
    "surrogate_choices",
]
