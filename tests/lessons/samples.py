"""A small lesson as a file, whose parts a test can change, and measured values made up for it."""

from __future__ import annotations

from pathlib import Path

HEAD = {
    "top": 'title = "A small lesson"\nclaim = "Dropout helps."\nminutes = 5',
    "experiment": (
        '[experiment]\npreset = "noisy-digits"\nrecorded_seeds = 3\nsettings = [\'arms=["none", "dropout", "dropout-8"]\','
        ' "seeds=3", "train.steps=40", "model.widths=[8]", "observe.evaluations=4", "observe.statistics=0"]'
    ),
    "effects": '[[effects]]\nclaim = { kind = "better", a = "dropout", b = "none" }\nmetric = "test/accuracy"',
    "predict": (
        '[predict]\nkind = "draw"\nquestion = "Draw dropout\'s accuracy."\nx = "step"\ny = "accuracy, %"\nrange = [0, 100]\n'
        'factor = 100\nlabel = "dropout"\narm = "dropout"\nof = "dropout validation/accuracy"\nsteps = [0, 20, 40]\n'
        'given = [{ label = "none", arm = "none", of = "none validation/accuracy" }]'
    ),
    "equation": (
        "[equation]\ntex = 'G = A - B'\nsymbols = [{ tex = 'G', meaning = \"gain\", amount = { of = \"dropout test/accuracy - none"
        ' test/accuracy", factor = 100, digits = 1, unit = "points" } }, { tex = \'p\', meaning = "probability", setting = "p" }]'
    ),
    "charts": '[[charts]]\ntitle = "Loss"\ny = "loss"\nlines = [{ label = "none", arm = "none", of = "none validation/loss" }]',
    "links": '[[links]]\npage = "lab"\ntext = "Try p = 0.2"\nsettings = ["p=0.2"]',
}
BODY = "# Idea\n\nAn idea.\n\n# Explanation\n\nAn explanation.\n\n# Next\n\nThe next one.\n"
CHOOSE = (
    '[predict]\nkind = "choose"\nquestion = "What happens?"\noptions = ["It falls.", "It stays.", "It rises."]\nbounds = [-5, 5]\n'
    'outcome = { of = "dropout test/accuracy - none test/accuracy", factor = 100, digits = 1, unit = "points higher" }'
)


def write(folder: Path, name: str = "01-small", body: str = BODY, **parts: str) -> Path:
    """The file, with parts of its head replaced."""
    path = folder / f"{name}.md"
    path.write_text("+++\n" + "\n\n".join((HEAD | parts).values()) + "\n+++\n\n" + body, encoding="utf-8")
    return path


def values(**levels: float) -> dict:
    """(arm, metric) → step → seed → value: accuracies that rise to a level an arm, a little different for each of three seeds."""
    found: dict = {}
    for arm, level in levels.items():
        for step in (0, 10, 20, 30, 40):
            seeds = {seed: level * (step + 10) / 50 + 0.01 * ((seed + len(arm)) % 3) for seed in range(3)}
            found.setdefault((arm, "validation/accuracy"), {})[step] = seeds
            found.setdefault((arm, "validation/loss"), {})[step] = {
                seed: 1 - one for seed, one in seeds.items()
            }
        found[arm, "test/accuracy"] = {40: found[arm, "validation/accuracy"][40]}
    return found
