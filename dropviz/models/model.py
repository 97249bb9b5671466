"""What a model is: its knobs, its dropout sites, its initial parameters and its forward pass."""

from __future__ import annotations

import re
from abc import abstractmethod
from collections.abc import Callable, Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from pydantic import Field, model_validator

from dropviz.choices import Choices, SpecError, shown
from dropviz.task import Task

if TYPE_CHECKING:
    from torch import Tensor

    from dropviz.masks import SiteBehaviour


Directions = Callable[["Tensor"], "Tensor"]  # (…, C) → (K, C): combinations of logits like these
SiteJacobians = dict[str, tuple["Tensor", "Tensor"]]  # site → h (S, B, W) and slopes (S, B or 1, K, W)
Carried = dict[str, "Tensor"]  # what a model takes from one segment of a text to the next, by name


class Model(Choices):
    """A model and its knobs.

    Shapes: S seeds, B examples (a minibatch, or several replicas of it), C outputs; of a text T tokens an example.
    """

    name: str
    title: ClassVar[str]
    if TYPE_CHECKING:
        dropout_at: tuple[str, ...]  # every model declares it by ``dropout_field``, with its own kinds

    @abstractmethod
    def places(self) -> dict[str, str]:
        """Every site that the model could drop at → its kind, in call order."""

    def unfit(self, task: Task) -> str:
        """Empty where the model can do this task; else why it cannot, in one sentence."""
        return ""

    @abstractmethod
    def shapes(self, task: Task) -> dict[str, tuple[int, ...]]:
        """Parameter name → shape of one seed's tensor."""

    @abstractmethod
    def initial(self, seed: int, task: Task) -> dict[str, np.ndarray]:
        """One seed's initial parameters, float32: the same whatever runs beside it."""

    def buffers(self) -> frozenset[str]:
        """Names among the parameters that training does not differentiate: averages that the forward pass updates."""
        return frozenset()

    @abstractmethod
    def units(self, task: Task) -> int:
        """Numbers that the forward pass of one example yields, of a text of one token: what a step has to hold."""

    def units_a_pair(self) -> int:
        """Numbers that it yields for each pair of tokens of a segment: those of attention."""
        return 0

    def dropped_parameters(self) -> dict[str, str]:
        """Site at a parameter → that parameter's name, of all ``places`` at parameters."""
        return {}

    @abstractmethod
    def compute(
        self, parameters: Mapping[str, Tensor], x: Tensor, dropout: SiteBehaviour, carried: Carried
    ) -> Tensor:
        """Logits, see ``forward``; calls ``dropout(h, site)`` once for each of ``places``, which may return more examples."""

    def forward(
        self,
        parameters: Mapping[str, Tensor],
        x: Tensor,
        dropout: SiteBehaviour,
        carried: Carried | None = None,
    ) -> Tensor:
        """Logits (S, B, C) from parameters (S, …) and examples (S, B, *shape); of a text (S, B·T, C) from tokens (S, B, T).

        Args:
            parameters, x: See above.
            dropout: What happens at the sites where this model drops.
            carried: The state before the first token, which the call replaces by the one after the last token; empty at
                the beginning of a text.
        """
        from dropviz.masks import Only

        return self.compute(parameters, x, Only(dropout, self.sites()), {} if carried is None else carried)

    def jacobians(
        self, parameters: Mapping[str, Tensor], x: Tensor, directions: Directions
    ) -> tuple[Tensor, SiteJacobians] | None:
        """Logits and the Jacobian of every site by hand, or None where a model has no such shortcut.

        See ``regularizers.site_jacobians`` for the meaning; a shortcut must agree with it.
        """
        return None

    def output_layer(self, parameters: Mapping[str, Tensor]) -> tuple[str, Tensor] | None:
        """The site whose units go straight into a linear output, and its weights (S, W, C); None where there is none."""
        return None

    def sites(self) -> tuple[str, ...]:
        """Names of the dropout sites that this model performs, in call order."""
        return self.performed

    @cached_property
    def performed(self) -> tuple[str, ...]:
        """``sites``, found once: every forward pass asks for them."""
        return tuple(self.rates(0.0))

    def rates(self, p: float) -> dict[str, float]:
        """Site → its drop probability, where the experiment has p."""
        chosen = dict(_parsed(entry) for entry in self.dropout_at)
        found = {}
        for site, kind in self.places().items():
            for name in (site, kind):
                if name in chosen:
                    own = chosen[name]
                    found[site] = p if own is None else own
                    break
        return found

    def multiplications(self, task: Task) -> int:
        """Of the forward pass of one example, of a text of one token."""
        return self.parameter_count(task)

    def parameter_count(self, task: Task) -> int:
        """Trainable numbers of one seed's network."""
        buffers = self.buffers()
        return sum(int(np.prod(shape)) for name, shape in self.shapes(task).items() if name not in buffers)

    @model_validator(mode="after")
    def _put_places_in_order(self) -> Any:
        """So that equal choices are equal specs."""
        places = self.places()
        kinds = type(self).model_fields["dropout_at"].examples or []
        known = list(dict.fromkeys([*places.values(), *places, *kinds]))
        chosen: dict[str, str] = {}
        for entry in self.dropout_at:
            place, own = _parsed(entry)
            if place not in known:
                raise SpecError(
                    f"dropout_at = {shown(entry)} is no place of this network: choose from {', '.join(known)}."
                )
            written = place if own is None else f"{place}={own + 0.0!r}"
            if chosen.setdefault(place, written) != written:
                raise SpecError(
                    f"dropout_at names {place} twice, as {chosen[place]} and {written}: keep one."
                )
        ordered = tuple(chosen[place] for place in known if place in chosen)
        object.__setattr__(self, "dropout_at", ordered)
        if not self.sites():
            raise SpecError(
                f"dropout_at = {', '.join(ordered)} is nowhere in this network: choose from {', '.join(places)}."
            )
        return self


def layer_of(parameter: str) -> str:
    """The layer that a parameter belongs to, by its name: ``layer2`` of ``bias2``, ``output`` of ``output_weight``."""
    name, number = re.fullmatch(r"(.*?)(\d*)", parameter).groups()  # type: ignore[union-attr]
    if number:
        return f"layer{number}"
    return re.sub(r"_?(weight|bias|gain|shift|kernel)$", "", name) or "output"


def dropout_field(default: tuple[str, ...], kinds: Mapping[str, str]) -> Any:
    """The knob ``dropout_at`` of a model with these kinds of sites: kind → what it is."""
    what = "; ".join(f"{kind}: {meaning}" for kind, meaning in kinds.items())
    return Field(
        default,
        min_length=1,
        title="Dropout at",
        description=f"{what}. A name alone drops with the experiment's p, name=0.2 with a probability of its own.",
        examples=list(kinds),
    )


def _parsed(entry: str) -> tuple[str, float | None]:
    """``hidden`` or ``hidden=0.2``.

    Raises:
        SpecError: What follows the = is no probability.
    """
    name, separator, text = entry.partition("=")
    if not separator:
        return name.strip(), None
    try:
        p = float(text)
    except ValueError:
        p = -1.0
    if not 0 <= p < 1:
        raise SpecError(
            f"dropout_at = {shown(entry)} is not possible: after = comes a probability from 0 to below 1."
        )
    return name.strip(), p
