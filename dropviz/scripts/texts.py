"""Texts as code: those of a chain are made by the script, others come as token numbers in a file beside it."""

from __future__ import annotations

from dropviz.choices import SpecError
from dropviz.datasets import Text
from dropviz.experiment import ExperimentSpec
from dropviz.scripts.network import function
from dropviz.scripts.script_data import FILE, ScriptData, made_from, opening, packed

MOST_TOKENS = 20_000_000  # that a file beside a script may hold
CHAINS = {
    "markov": {"CONCENTRATION": ("concentration", "of each symbol's successors")},
    "hmm": {
        "STATES": ("states", "hidden ones"),
        "TRANSITION": ("transition", "concentration of each state's successors"),
        "EMISSION": ("emission", "concentration of each state's symbols"),
    },
}


def text_of(spec: ExperimentSpec, seed: int) -> ScriptData:
    """The text of one seed, as code.

    Raises:
        SpecError: It cannot be had, is too long, or is read in segments of random lengths.
    """
    if spec.language.random_lengths:
        raise SpecError(
            "A script of language.random_lengths = True cannot be written yet, as its masks change their shape: set it to false."
        )
    return _made(spec) if spec.data.name in CHAINS else _beside(spec, seed)


def _made(spec: ExperimentSpec) -> ScriptData:
    knobs = spec.data.to_table()
    train, held_out = knobs["train_tokens"], knobs["held_out_tokens"]
    settings = {name: (repr(knobs[knob]), what) for name, (knob, what) in CHAINS[spec.data.name].items()}
    settings |= {
        "CHAIN": (repr(knobs["chain"]), "which one is drawn, for all seeds"),
        "SYMBOLS": (repr(knobs["symbols"]), "tokens of the vocabulary"),
        "LENGTHS": (repr((train, held_out, held_out)), "tokens for training, validation and test"),
    }
    lines = ["return {name: torch.from_numpy(text) for name, text in zip(SPLITS, texts(), strict=True)}"]
    return ScriptData(
        parts=(f"data/{spec.data.name}", "data/chains", "texts"),
        source="import torch\n\n\n" + function("load()", "The three texts, as token numbers.", lines),
        settings=settings | _common(spec, train),
    )


def _beside(spec: ExperimentSpec, seed: int) -> ScriptData:
    loaded = spec.data.load(seed)
    assert isinstance(loaded, Text)
    texts = {"train": loaded.train, "validation": loaded.validation, "test": loaded.test}
    if (tokens := sum(map(len, texts.values()))) > MOST_TOKENS:
        raise SpecError(
            f"{spec.data.name} has {tokens:,} tokens, and a script takes {MOST_TOKENS:,} along: lower data.downscale, or keep"
            " the run by `dropviz run`."
        )
    lines = [
        *opening(spec),
        "    return {name: torch.from_numpy(file[name].astype(np.int64)) for name in SPLITS}",
    ]
    imports = "from pathlib import Path\n\nimport numpy as np\nimport torch\n\n\n"
    says = "The three texts, as token numbers: from the file that belongs to this script."
    return ScriptData(
        parts=("texts",),
        source=imports + function("load()", says, lines),
        files={FILE: packed(texts)},
        settings=_common(spec, len(loaded.train)) | made_from(spec),
    )


def _common(spec: ExperimentSpec, train_tokens: int) -> dict[str, tuple[str, str]]:
    full = min(spec.language.segment, train_tokens // spec.train.batch_size - 1)
    return {
        "SPLITS": ('("train", "validation", "test")', ""),
        "SEGMENT": (repr(full), "tokens of a stream that a step reads"),
    }
