"""Arms: their names, and the gradient that each one follows."""

from __future__ import annotations

import re
from collections.abc import Callable
from math import sqrt

import pytest
import torch
from torch import Tensor

from dropviz.choices import SpecError
from dropviz.experiment import SurrogateChoices
from dropviz.strategies import examples, largest_k, strategy
from dropviz.strategies.strategy import families
from dropviz.strategies.switched import Switched
from tests import reference
from tests.computing.tiny import Tiny, gradients, tiny

EXAMPLES = examples()
every_example = pytest.mark.parametrize("name", EXAMPLES)


# Names.


@every_example
def test_a_name_round_trips(name: str) -> None:
    assert strategy(name).name == name
    assert strategy(strategy(name).name) == strategy(name)


@every_example
def test_a_name_belongs_to_one_family(name: str) -> None:
    assert len([family for family in families() if re.fullmatch(family.pattern, name)]) == 1


@pytest.mark.parametrize("family", families(), ids=lambda family: family.__name__)
def test_a_family_shows_examples_of_its_own(family: type) -> None:
    own = {family} - {Switched}  # which is made of others
    assert {type(strategy(name)) for name in family.examples} == own


@pytest.mark.parametrize(
    ("written", "canonical"),
    [
        ("dropout-1", "dropout"),
        ("dropout-08", "dropout-8"),
        ("dropout-256", "dropout-256"),
        ("dropout-02+mask-noise", "dropout-2+mask-noise"),
    ],
)
def test_a_spelling_has_one_canonical_name(written: str, canonical: str) -> None:
    assert strategy(written).name == canonical
    assert strategy(written) == strategy(canonical)


@pytest.mark.parametrize(
    "name",
    [
        "",
        " none",
        "None",
        "dropout-",
        "dropout--8",
        "dropout-8+",
        "explicit+",
        "implicit+explicit",
        "k",
        5,
        None,
    ],
)
def test_a_name_of_no_family_is_refused_with_the_names_that_there_are(name: str) -> None:
    with pytest.raises(SpecError, match="is not an arm: write one of ") as caught:
        strategy(name)
    assert all(example in str(caught.value) for example in EXAMPLES)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["dropout-0", "dropout-257", "dropout-0+mask-noise"])
def test_a_number_of_masks_out_of_range_is_refused_with_the_range(name: str) -> None:
    with pytest.raises(
        SpecError, match=rf"'{re.escape(name)}' asks for '\d+' masks a step: choose 1 to 256\."
    ):
        strategy(name)


@pytest.mark.parametrize("name", ["dropout+mask-noise", "dropout-1+mask-noise"])
def test_mask_noise_on_one_mask_is_refused(name: str) -> None:
    with pytest.raises(SpecError, match=r"adds nothing.*choose k of 2 or more\."):
        strategy(name)


def test_a_number_too_long_to_read_is_refused_in_a_short_sentence() -> None:
    with pytest.raises(SpecError, match="choose 1 to 256") as caught:
        strategy("dropout-" + "9" * 5000)
    assert len(str(caught.value)) < 300


def test_the_largest_k_is_that_of_the_plain_dropout_arms() -> None:
    assert largest_k(["none", "dropout", "dropout-8", "dropout-32+mask-noise", "dropout-16"]) == 16
    assert largest_k(["none", "dropout", "dropout-8+mask-noise", "explicit"]) is None


# What an arm declares.


@pytest.mark.parametrize(
    ("name", "replicas", "factor"),
    [
        ("none", 0, 0.0),
        ("dropout", 1, 1.0),
        ("dropout-8", 8, 1 / 8),
        ("dropout-8+mask-noise", 10, 1.0),
        ("dropout-8+analytic-noise", 8, 1 / 8),
        ("explicit+implicit", 0, 0.0),
        ("explicit-identity", 0, 0.0),
        ("l2", 0, 0.0),
        ("linearized", 0, 1.0),
        ("gaussian", 1, 1.0),
    ],
)
def test_an_arm_knows_its_masks_and_what_noise_they_keep(name: str, replicas: int, factor: float) -> None:
    assert strategy(name).replicas == replicas
    assert strategy(name).noise_factor() == factor


@pytest.mark.parametrize(
    ("name", "choices"),
    [
        ("none", set()),
        ("dropout-8+analytic-noise", set()),
        ("explicit", {"estimator", "hessian", "samples", "explicit"}),
        ("implicit", {"implicit"}),
        (
            "explicit+implicit",
            {"estimator", "hessian", "samples", "explicit", "implicit", "shared_tangent"},
        ),
        ("explicit-identity", {"estimator", "samples", "explicit"}),
        ("explicit-loss-jacobian", {"explicit"}),
        ("explicit-argmax", {"explicit"}),
        ("l2", {"l2"}),
        ("linearized", set()),
        ("gaussian", set()),
    ],
)
def test_an_arm_knows_which_choices_have_a_say_in_it(name: str, choices: set[str]) -> None:
    assert set(strategy(name).choices) == choices
    assert choices <= set(SurrogateChoices.model_fields)


def test_a_shared_tangent_takes_the_place_of_any_estimator() -> None:
    net = tiny(rows=3)
    network, leaves = net.network(dtype=torch.float32)

    def step(estimator: str) -> Tensor:
        choices = SurrogateChoices(estimator=estimator, shared_tangent=True)
        return gradients(strategy("explicit+implicit").objective(network, net.draws(), choices).total, leaves)

    torch.testing.assert_close(step("exact"), step("root-hessian"), rtol=0, atol=0)


@every_example
def test_changing_a_choice_changes_the_step_of_exactly_the_arms_in_which_it_has_a_say(name: str) -> None:
    net = tiny(rows=3)
    network, leaves = net.network(dtype=torch.float32)
    start = SurrogateChoices(estimator="root-hessian")
    others = {
        "estimator": "forward",
        "hessian": "constant",
        "samples": 2,
        "explicit": 2.0,
        "implicit": 2.0,
        "shared_tangent": True,
        "l2": 1.0,
    }

    def step(choices: SurrogateChoices) -> Tensor:
        draws = net.draws()
        return gradients(strategy(name).objective(network, draws, choices).total, leaves)

    before = step(start)
    found = {
        choice
        for choice, value in others.items()
        if not torch.equal(step(start.model_copy(update={choice: value})), before)
    }
    assert found == set(strategy(name).choices)


# Gradients.


def masked_loss(net: Tiny, masks: dict[str, Tensor], mask: int, w: Tensor) -> Tensor:
    """The mean loss over rows under one of the drawn masks."""
    rows = []
    for row, (x, y) in enumerate(zip(net.x, net.y, strict=True)):
        epsilon = torch.cat([masks[site][0, mask, row] for site in net.model.sites()]).double() - 1
        rows.append(reference.loss_at(net.net, w, x, y, epsilon))
    return torch.stack(rows).mean()


def none(net: Tiny, w: Tensor) -> Tensor:
    return reference.plain_loss(net.net, w, net.x, net.y)


def dropout_3(net: Tiny, w: Tensor) -> Tensor:
    masks = net.draws().masks(3)
    return torch.stack([masked_loss(net, masks, mask, w) for mask in range(3)]).mean()


def dropout_3_and_noise(net: Tiny, w: Tensor) -> Tensor:
    masks = net.draws().masks(5)
    noise = (masked_loss(net, masks, 3, w) - masked_loss(net, masks, 4, w)) / sqrt(2)
    return dropout_3(net, w) + sqrt(1 - 1 / 3) * noise


def explicit(net: Tiny, w: Tensor) -> Tensor:
    return none(net, w) + 2.0 * reference.approximate_regularizer(net.net, w, net.x, net.p)


def implicit(net: Tiny, w: Tensor) -> Tensor:
    signs = net.draws().signs()
    tangents = torch.cat([signs[site][0] for site in net.model.sites()], dim=-1).double()
    tangents = tangents * sqrt(reference.variance(net.p))
    return none(net, w) + 0.5 * reference.noise_term(net.net, w, net.x, net.y, tangents)


def both(net: Tiny, w: Tensor) -> Tensor:
    return explicit(net, w) + implicit(net, w) - none(net, w)


def dropout_3_and_formula(net: Tiny, w: Tensor) -> Tensor:
    noise = (implicit(net, w) - none(net, w)) / 0.5
    return dropout_3(net, w) + sqrt(1 - 1 / 3) * noise


def penalty(net: Tiny, w: Tensor, matrix: Callable[[Tensor, Tensor], Tensor]) -> Tensor:
    """2 · ½ v tr(JᵀMJ), mean over rows, for a matrix of the logits and the label."""
    rows = []
    for x, y in zip(net.x, net.y, strict=True):
        jacobian, z = reference.mask_jacobian(net.net, w, x), net.net.logits(w, x, net.net.still())
        rows.append(torch.trace(jacobian.T @ matrix(z, y) @ jacobian))
    return reference.variance(net.p) * torch.stack(rows).mean()


def outer(z: Tensor, y: Tensor) -> Tensor:
    slope = z.softmax(-1) - torch.nn.functional.one_hot(y, len(z))
    return torch.outer(slope, slope)


def identity(net: Tiny, w: Tensor) -> Tensor:
    return none(net, w) + penalty(net, w, lambda z, y: torch.eye(len(z), dtype=z.dtype) / len(z))


def loss_jacobian(net: Tiny, w: Tensor) -> Tensor:
    return none(net, w) + penalty(net, w, outer)


def argmax(net: Tiny, w: Tensor) -> Tensor:
    return none(net, w) + penalty(net, w, lambda z, y: outer(z, z.argmax()))


def l2(net: Tiny, w: Tensor) -> Tensor:
    return none(net, w) + 0.25 / 2 * w.square().sum()


def linearized(net: Tiny, w: Tensor) -> Tensor:
    masks, rows = net.draws().masks(1), []
    for row, (x, y) in enumerate(zip(net.x, net.y, strict=True)):
        epsilon = torch.cat([masks[site][0, 0, row] for site in net.model.sites()]).double() - 1
        z = net.net.logits(w, x, net.net.still())
        rows.append(reference.loss(z + reference.mask_jacobian(net.net, w, x) @ epsilon, y))
    return torch.stack(rows).mean()


def gaussian(net: Tiny, w: Tensor) -> Tensor:
    return masked_loss(net, net.draws().gaussian_masks(1), 0, w)


@pytest.mark.parametrize(
    ("name", "twin"),
    [
        ("none", none),
        ("dropout-3", dropout_3),
        ("dropout-3+mask-noise", dropout_3_and_noise),
        ("explicit", explicit),
        ("implicit", implicit),
        ("explicit+implicit", both),
        ("dropout-3+analytic-noise", dropout_3_and_formula),
        ("explicit-identity", identity),
        ("explicit-loss-jacobian", loss_jacobian),
        ("explicit-argmax", argmax),
        ("l2", l2),
        ("linearized", linearized),
        ("gaussian", gaussian),
    ],
)
def test_an_arm_follows_its_gradient(name: str, twin: Callable[[Tiny, Tensor], Tensor]) -> None:
    net = tiny(rows=3)
    network, leaves = net.network(dtype=torch.float32)
    strengths = SurrogateChoices(estimator="exact", explicit=2.0, implicit=0.5, l2=0.25)
    total = strategy(name).objective(network, net.draws(), strengths).total
    expected = reference.gradient(lambda w: twin(net, w), net.w).float()
    torch.testing.assert_close(gradients(total, leaves)[0], expected, rtol=1e-4, atol=1e-6)


@every_example
def test_a_seeds_terms_do_not_depend_on_the_seeds_beside_it(name: str) -> None:
    net = tiny(rows=3)

    def stepped(copies: int) -> tuple[Tensor, Tensor]:
        network, leaves = net.network(copies, dtype=torch.float32)
        terms = strategy(name).objective(network, net.draws(copies), SurrogateChoices())
        assert terms.data.shape == (copies,)
        return terms.data, gradients(terms.total, leaves)

    data, slopes = stepped(3)
    alone, slope = stepped(1)
    torch.testing.assert_close(data[:1], alone)
    torch.testing.assert_close(slopes[:1], slope)
