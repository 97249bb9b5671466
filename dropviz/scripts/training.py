"""The training loop as code: what this experiment's choices ask for, and no more."""

from __future__ import annotations

from dropviz.experiment import ExperimentSpec, TrainChoices
from dropviz.scripts.assembling import part
from dropviz.scripts.network import function

IMPORTS = "from math import log, pi, sin\n\nimport torch\nfrom torch.autograd import grad"
NEXT_SEGMENT = ('x, y, starts = segment(splits["train"], step)', "if starts:", "    past = {}")
HELD = 2**24  # numbers that a piece of an evaluation may hold at once, as in a run
EVALUATED_OF_TRAINING = 2000  # tokens, as in a run
FEW = 20_000  # examples that no split has more of, but for large sets of images


def training_source(spec: ExperimentSpec, objective: str, *, noisy: bool, averages: bool) -> str:
    """``train``, and what it calls.

    Args:
        spec: The experiment.
        objective: The arm's function.
        noisy: Whether it has noise of its own, which clipping may have to leave alone.
        averages: Whether the model has averages that run along, and are not trained.
    """
    sources = [IMPORTS, _rate(spec.train), _evaluate(spec, averages=averages), _report(spec)]
    return "\n\n\n".join([*sources, _train(spec, objective, noisy=noisy, averages=averages)])


def held_at_once(spec: ExperimentSpec) -> int:
    """Examples that are evaluated at once; 0 for all."""
    together = HELD // spec.model.units(spec.data.task)
    return 0 if together >= FEW else max(1, together)


def _train(spec: ExperimentSpec, objective: str, *, noisy: bool, averages: bool) -> str:
    train = spec.train
    weights = "[value for value in w.values() if value.requires_grad]" if averages else "list(w.values())"
    lines = ["torch.set_num_threads(1)  # several would add up in another order"]
    lines += ["splits, w = load(), initial_weights()", f"weights, objectives = {weights}, []"]
    lines += [f"optimizer = {_optimizer(train)}", f'print("{_columns(spec)}")']
    first = 'report(0, "-", w, splits)'
    lines += [f"lowest = {first}"] if _judged(train) else [first]
    lines += ["best = copied(w)"] if train.keep_best else []
    lines += ["waited = 0"] if train.patience else []
    lines += ["for step in range(STEPS):"]
    lines += [
        f"    {line}"
        for line in _step(spec, objective, aside=noisy and not train.clip_noise, averages=averages)
    ]
    lines += ["    if (step + 1) % EVERY == 0 or step + 1 == STEPS:"]
    lines += [f"        {line}" for line in _look(train)]
    last = "best" if train.keep_best else "w"
    lines += [f"{', '.join(_measured(spec))} = {_evaluated(spec, last, 'test')}"]
    lines += [f'print(f"test/{name} {{{value}:.9g}}")' for name, value in _scores(spec).items()]
    return function("train()", "Train one network and print its curve.", lines)


def _step(spec: ExperimentSpec, objective: str, *, aside: bool, averages: bool) -> list[str]:
    """One update; ``aside``: of a gradient that is clipped before the noise is added."""
    train, text = spec.train, _is_text(spec)
    lines = list(NEXT_SEGMENT) if text else ['x, y = minibatch(*splits["train"], step)']
    results, past = "objective, noise" if aside else "objective", ", past" if text or averages else ""
    lines += ["past = {}"] if averages else []
    lines += [f"{results} = {objective}(w, x, y, step{past})"]
    lines += ["apart = grad(noise, weights, retain_graph=True, materialize_grads=True)"] if aside else []
    lines += ["optimizer.zero_grad()", "objective.backward()"]
    lines += ["torch.nn.utils.clip_grad_norm_(weights, CLIP)"] if train.clip else []
    if aside:
        lines += ["for weight, more in zip(weights, apart, strict=True):", "    weight.grad += more"]
    if train.warmup or train.schedule != "constant":
        lines += ['optimizer.param_groups[0]["lr"] = rate(step)']
    lines += ["optimizer.step()", "w.update(past)"] if averages else ["optimizer.step()"]
    return [*lines, "objectives.append(objective.detach()[None])"]


def _look(train: TrainChoices) -> list[str]:
    """What happens at an evaluation."""
    looked = 'report(step + 1, f"{torch.stack(objectives).mean(0).item():.9g}", w, splits)'
    lines = [f"validation = {looked}" if _judged(train) else looked, "objectives.clear()"]
    if not _judged(train):
        return lines
    lines += ["if validation < lowest:", "    lowest = validation"]
    lines += ["    best = copied(w)"] if train.keep_best else []
    lines += ["    waited = -1", "waited += 1"] if train.patience else []
    return lines + (["if waited == PATIENCE:", "    break"] if train.patience else [])


def _judged(train: TrainChoices) -> bool:
    """Whether the validation loss decides anything."""
    return train.keep_best or train.patience > 0


def _optimizer(train: TrainChoices) -> str:
    decay = ", weight_decay=WEIGHT_DECAY" if train.weight_decay or train.optimizer == "adamw" else ""
    momentum = ", momentum=MOMENTUM" if train.momentum else ""
    name = {"sgd": "SGD", "adam": "Adam", "adamw": "AdamW"}[train.optimizer]
    return f"torch.optim.{name}(weights, lr=LEARNING_RATE{momentum}{decay})"


def _rate(train: TrainChoices) -> str:
    """``rate``, for a learning rate that is not the same in every step."""
    rising = ["if step < WARMUP:", "    return LEARNING_RATE * ((step + 1) / WARMUP)"] if train.warmup else []
    left = "left = (STEPS - step) / (STEPS - WARMUP)" if train.warmup else "left = (STEPS - step) / STEPS"
    falling = {
        "constant": ["return LEARNING_RATE"],
        "linear": [left, "return LEARNING_RATE * left"],
        "cosine": [left, "return LEARNING_RATE * sin(pi / 2 * left) ** 2"],
    }[train.schedule]
    goes = {"constant": "stays", "linear": "falls in a line to 0", "cosine": "falls along a cosine to 0"}
    says = f"The learning rate {'rises in a line, then ' if train.warmup else ''}{goes[train.schedule]}."
    return function("rate(step)", says, [*rising, *falling])


def _is_text(spec: ExperimentSpec) -> bool:
    return spec.data.task.kind == "language"


def _measured(spec: ExperimentSpec) -> list[str]:
    """What ``evaluate`` returns."""
    return ["loss", "accuracy"] if spec.data.task.kind == "classification" else ["loss"]


def _scores(spec: ExperimentSpec) -> dict[str, str]:
    """Metric → the expression that is printed."""
    found = {name: name for name in _measured(spec)}
    if not _is_text(spec):
        return found
    if spec.data.task.token == "character":
        return found | {"bits_per_character": "loss / log(2)"}
    return found | {"perplexity": "loss.double().exp()"}


def _columns(spec: ExperimentSpec) -> str:
    scores = " ".join(f"validation/{score}" for score in _scores(spec))
    return f"step train/objective train/loss {scores}"


def _evaluated(spec: ExperimentSpec, w: str, split: str) -> str:
    """A call of ``evaluate``."""
    if not _is_text(spec):
        return f'evaluate({w}, *splits["{split}"])'
    few = f"[:{EVALUATED_OF_TRAINING}]" if split == "train" else ""
    return f'evaluate({w}, splits["{split}"]{few})'


def _evaluate(spec: ExperimentSpec, *, averages: bool) -> str:
    """``evaluate`` of examples; that of texts is always the same."""
    if _is_text(spec):
        return part("texts")
    classes = spec.data.task.kind == "classification"
    says = f"Mean loss{' and accuracy' if classes else ''} of a split, without masks"
    past = ", {}" if averages else ""
    z = f"network(w, x, PLAIN{past})"
    if held_at_once(spec):
        z, says = (
            f"torch.cat([network(w, some, PLAIN{past}) for some in x.split(HELD)])",
            f"{says}, HELD examples at once",
        )
    right = ", (z.argmax(-1) == y).float().mean()" if classes else ""
    lines = ["with torch.no_grad():", f"    z = {z}", f"return loss(z, y).mean(){right}"]
    return function("evaluate(w, x, y)", f"{says}.", lines)


def _report(spec: ExperimentSpec) -> str:
    measured, train = _measured(spec), _evaluated(spec, "w", "train")
    lines = [f"train, _ = {train}" if len(measured) > 1 else f"train = {train}"]
    lines += [f"{', '.join(measured)} = {_evaluated(spec, 'w', 'validation')}"]
    shown = " ".join(f"{{{value}:.9g}}" for value in ("train", *_scores(spec).values()))
    lines += [f'print(f"{{step}} {{objective}} {shown}")']
    lines += ["return loss"] if _judged(spec.train) else []
    return function("report(step, objective, w, splits)", "Print a point of the curve.", lines)
