"""The groups of an experiment's choices: surrogate, training, text, observation."""

from __future__ import annotations

from typing import Any, Literal, Self

from pydantic import Field, field_validator, model_validator

from dropviz.choices import Choices, SpecError, shown


class SurrogateChoices(Choices):
    """How the analytic arms (explicit, implicit, both, ablations) compute their terms."""

    estimator: Literal["auto", "exact", "root-hessian", "forward", "sampled-label"] = Field(
        "auto",
        title="Estimator of R",
        description="Exact: every class, no noise. Root-Hessian: one random ±1 a class. Forward: one random direction in"
        " mask space. Sampled label: the authors'. Auto: exact up to ten classes where a step stays affordable, else the"
        " last layer exact and root-Hessian for the others.",
    )
    hessian: Literal["differentiated", "constant"] = Field(
        "differentiated",
        title="Output Hessian",
        description="Whether the gradient of R goes through the output Hessian. Constant is the paper's code.",
    )
    explicit: float = Field(
        1.0,
        ge=0,
        le=100,
        title="λ, strength of the explicit term",
        description="1 is the theory; the authors' scripts correspond to about 2.",
    )
    implicit: float = Field(
        1.0, ge=0, le=100, title="μ, strength of the implicit noise", description="1 is the theory."
    )
    samples: int = Field(
        1,
        ge=1,
        le=64,
        title="Samples",
        description="Draws of the estimator that are averaged; exact needs none.",
    )
    shared_tangent: bool = Field(
        False,
        title="Shared tangent",
        description="For explicit+implicit: both terms from one random direction. Cheaper, with a noisier explicit gradient.",
    )
    l2: float = Field(
        0.01,
        ge=0,
        le=100,
        title="Strength of the l2 arm",
        description="Half of it times the sum of squares of all parameters is added to the loss of that arm.",
    )


class TrainChoices(Choices):
    """The training loop: how long, how large a minibatch, which optimizer."""

    steps: int = Field(1500, ge=1, le=1_000_000, title="Steps", description="Updates of the weights.")
    batch_size: int = Field(
        16,
        ge=1,
        le=4096,
        title="Minibatch",
        description="Examples a step, drawn with replacement; of a text, parallel streams.",
    )
    optimizer: Literal["sgd", "adam", "adamw"] = Field(
        "sgd", title="Optimizer", description="AdamW is Adam with weight decay outside of its averages."
    )
    learning_rate: float = Field(
        0.1, gt=0, le=1e12, title="Learning rate", description="Size of an update; with a schedule, its peak."
    )
    schedule: Literal["constant", "linear", "cosine"] = Field(
        "constant",
        title="Schedule of the learning rate",
        description="Linear and cosine fall to 0 at the end of the last step.",
    )
    warmup: int = Field(
        0,
        ge=0,
        le=1_000_000,
        title="Warm-up",
        description="First steps, over which the learning rate rises in a line from 0 to its peak; 0 for none.",
    )
    momentum: float = Field(
        0.0, ge=0, lt=1, title="Momentum", description="Of SGD alone: with Adam or AdamW, 0."
    )
    weight_decay: float = Field(
        0.0,
        ge=0,
        le=10,
        title="Weight decay",
        description="Strength of the ℓ2 term; AdamW takes learning rate × this share off the weights, a step.",
    )
    clip: float = Field(
        0.0,
        ge=0,
        le=1e12,
        title="Gradient clipping",
        description="Largest ℓ2 norm of a step's gradient, over all weights of a network; 0 turns it off.",
    )
    clip_noise: bool = Field(
        True,
        title="Clip the noise",
        description="On: clipping acts on the sum with the implicit noise, as in the paper's code. Off (where clipping"
        " is above 0): that noise is added afterwards, in full. Noise of the loss's own masks is clipped either way.",
    )

    keep_best: bool = Field(
        False,
        title="Keep the best",
        description="Judge each seed on the test split by its weights with the lowest validation loss, not by its last ones.",
    )
    patience: int = Field(
        0,
        ge=0,
        le=1000,
        title="Patience",
        description="Evaluations without a lower validation loss after which a seed stops early; 0 never stops. Seeds then"
        " train one by one.",
    )

    @model_validator(mode="after")
    def _momentum_is_used(self) -> Self:
        if self.optimizer != "sgd" and self.momentum:
            raise SpecError(
                f"momentum = {self.momentum} has no effect on {self.optimizer}: set it to 0, or choose sgd."
            )
        return self

    @model_validator(mode="after")
    def _warmup_ends(self) -> Self:
        if self.warmup >= self.steps:
            raise SpecError(f"warmup = {self.warmup} is not possible: it must be below steps = {self.steps}.")
        return self

    @model_validator(mode="after")
    def _clipping_is_used(self) -> Self:
        if not (self.clip or self.clip_noise):
            raise SpecError(
                "clip_noise = False has no effect without clipping: set it to true, or raise clip above 0."
            )
        return self


class LanguageChoices(Choices):
    """How a running text is read; nothing else reads these."""

    segment: int = Field(
        35,
        ge=2,
        le=1024,
        title="Segment",
        description="Tokens of a stream that a step reads, and that gradients go back through; the state is carried over.",
    )
    random_lengths: bool = Field(
        False,
        title="Random lengths",
        description="Vary the segment's length from step to step, as AWD-LSTM does.",
    )
    scale_rate: bool = Field(
        False,
        title="Scale the learning rate",
        description="By the length of the segment relative to a full one, as AWD-LSTM does.",
    )

    @model_validator(mode="after")
    def _scaling_is_used(self) -> Self:
        if self.scale_rate and not self.random_lengths:
            raise SpecError(
                "scale_rate = True has no effect while all segments are of one length: set random_lengths to true."
            )
        return self


class ObserveChoices(Choices):
    """What is observed while training, and how often; observing never changes training."""

    evaluations: int = Field(
        50, ge=1, le=1000, title="Evaluations", description="Points of each loss and accuracy curve."
    )
    statistics: int | Literal["auto"] = Field(
        "auto",
        title="Statistics",
        description="Points of each regularizer, noise and curvature curve; 0 turns them off. Auto: as many as take about 5 % of"
        " a run without dropout, 1 to 30.",
    )
    refreshes: int = Field(
        0,
        ge=0,
        le=30,
        title="Curvature refreshes",
        description="How often the whole spectrum is measured, and the loss around the weights: more often early on than later. Each"
        " costs a few hundred gradients on the probe.",
    )
    probe: int = Field(
        64,
        ge=2,
        le=4096,
        title="Probe",
        description="Training examples, or tokens, on which R, noise and curvature are measured.",
    )
    masks: int = Field(
        8, ge=2, le=1024, title="Masks", description="Mask draws for the regularizer by definition."
    )

    @field_validator("statistics", mode="before")
    @classmethod
    def _count_or_auto(cls, value: Any) -> Any:
        counted = isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= 1000
        if not (counted or value == "auto"):
            raise SpecError(
                f"statistics = {shown(value)} is not possible: give a whole number from 0 to 1000, or auto."
            )
        return value
