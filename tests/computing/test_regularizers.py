"""The explicit regularizer: the exact value, its estimators and their gradients, against enumerated masks."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from dropviz.experiment import SurrogateChoices
from dropviz.losses import cross_entropy
from dropviz.masks import Multiply, Watch, keep_all, variance
from dropviz.regularizers import (
    Network,
    dropout_loss,
    exact_regularizer,
    exact_shares,
    explicit,
    explicit_shares,
    jacobian_noise,
    monte_carlo,
    plain_loss,
    site_jacobians,
    surrogate_loss,
)
from tests import reference
from tests.computing.tasks import multiplied
from tests.computing.tiny import Tiny, assert_mean, gradients, tiny

COPIES = 3000
SAMPLED = ["auto", "root_hessian", "forward", "sampled_label"]
SITES = [("hidden",), ("input",), ("hidden1",), ("hidden2",), ("input", "hidden")]


def choices(estimator: str, hessian: str) -> SurrogateChoices:
    return SurrogateChoices(estimator=estimator, hessian=hessian)


def exact_gradient(net: Tiny, hessian: str) -> Tensor:
    constant = hessian == "constant"
    return reference.gradient(
        lambda w: reference.approximate_regularizer(net.net, w, net.x, net.p, constant=constant), net.w
    )


def sample(net: Tiny, estimator: str, hessian: str) -> tuple[Tensor, Tensor]:
    """Values (S,) and gradients (S, P) of independent samples."""
    network, leaves = net.network(COPIES)
    watch = Watch()
    z = network.forward(watch)
    shares = explicit_shares(network, z, watch, net.draws(COPIES), estimator=estimator, hessian=hessian)
    values = torch.stack(list(shares.values())).sum(0)
    return values.detach(), gradients(values, leaves)


def linear_network(x: Tensor, w: Tensor, y: Tensor, p: float) -> Network:
    """z = dropout(x) W, without a hidden layer."""
    return Network(forward=lambda behaviour: behaviour(x, "input") @ w, y=y, variances={"input": variance(p)})


# The terms of a step, with the drawn masks put into the reference.


def test_the_plain_loss_is_the_loss_at_no_mask() -> None:
    net = tiny(rows=3)
    network, _ = net.network()
    expected = reference.plain_loss(net.net, net.w, net.x, net.y)
    torch.testing.assert_close(plain_loss(network).data, expected[None])


def test_the_dropout_loss_is_the_mean_over_the_masks_that_were_drawn() -> None:
    net = tiny(rows=3, dropout_at=("input", "hidden"))
    network, _ = net.network()
    masks = net.draws().masks(4)
    losses = [
        reference.loss_at(net.net, net.w, net.x[row], net.y[row], epsilon.double())
        for mask in range(4)
        for row in range(3)
        for epsilon in [torch.cat([masks[site][0, mask, row] for site in net.model.sites()]) - 1]
    ]
    terms = dropout_loss(network, net.draws(), k=4)
    torch.testing.assert_close(terms.data, torch.stack(losses).mean()[None], rtol=1e-6, atol=1e-6)
    assert terms.implicit is None


def test_the_dropout_loss_averages_to_the_enumerated_one() -> None:
    net = tiny()
    network, _ = net.network(COPIES)
    found = dropout_loss(network, net.draws(COPIES), k=1).data.detach()
    assert_mean(found, reference.dropout_loss(net.net, net.w, net.x, net.y, net.p))


def test_the_gradient_of_the_dropout_loss_averages_to_the_enumerated_one() -> None:
    net = tiny()
    network, leaves = net.network(COPIES)
    found = gradients(dropout_loss(network, net.draws(COPIES), k=2).data, leaves)
    expected = reference.gradient(lambda w: reference.dropout_loss(net.net, w, net.x, net.y, net.p), net.w)
    assert_mean(found, expected)


# R by definition.


@pytest.mark.parametrize("p", [0.125, 0.5])
def test_monte_carlo_converges_to_the_enumerated_regularizer(p: float) -> None:
    net = tiny(p=p, seed=1)
    network, _ = net.network(COPIES)
    assert_mean(
        monte_carlo(network, net.draws(COPIES), masks=3).mean(-1),
        reference.explicit_regularizer(net.net, net.w, net.x, net.y, p),
    )


# R_approx: exact.


@pytest.mark.parametrize("activation", ["tanh", "relu", "gelu"])
@pytest.mark.parametrize("dropout_at", SITES, ids="+".join)
def test_the_exact_regularizer_is_half_the_variance_times_the_trace(
    dropout_at: tuple[str, ...], activation: str
) -> None:
    net = tiny(dropout_at=dropout_at, activation=activation, rows=3, p=0.25)
    expected = reference.approximate_regularizer(net.net, net.w, net.x, net.p)
    torch.testing.assert_close(exact_regularizer(net.network()[0]), expected[None])


@pytest.mark.parametrize("classes", [2, 3, 5])
def test_the_exact_regularizer_holds_for_any_number_of_classes(classes: int) -> None:
    net = tiny((2, 3, classes), rows=3)
    expected = reference.approximate_regularizer(net.net, net.w, net.x, net.p)
    torch.testing.assert_close(exact_regularizer(net.network()[0]), expected[None])


@pytest.mark.parametrize("activation", ["tanh", "relu"])
@pytest.mark.parametrize("hessian", ["differentiated", "constant"])
def test_the_gradient_of_the_exact_regularizer_is_exact(hessian: str, activation: str) -> None:
    net = tiny(activation=activation, rows=3)
    network, leaves = net.network()
    value = exact_regularizer(network, hessian=hessian)
    torch.testing.assert_close(gradients(value, leaves)[0], exact_gradient(net, hessian))


def test_holding_the_output_hessian_constant_changes_the_gradient() -> None:
    net = tiny()
    differentiated, constant = exact_gradient(net, "differentiated"), exact_gradient(net, "constant")
    assert (differentiated - constant).norm() > 0.1 * differentiated.norm()


@pytest.mark.parametrize("dropout_at", SITES, ids="+".join)
def test_shortcut_jacobians_agree_with_backward_passes(dropout_at: tuple[str, ...]) -> None:
    net = tiny((2, 4, 3, 4), dropout_at=dropout_at, activation="relu", rows=3)
    network, _ = net.network(2)
    assert network.jacobians(network.loss.directions) is not None
    (z, found), (expected_z, expected) = site_jacobians(network), site_jacobians(network, shortcut=False)
    torch.testing.assert_close(z, expected_z)
    torch.testing.assert_close(multiplied(found), multiplied(expected))


@pytest.mark.parametrize("dropout_at", SITES, ids="+".join)
def test_shares_and_noise_from_a_shortcut_have_the_gradients_of_the_generic_path(
    dropout_at: tuple[str, ...],
) -> None:
    net = tiny((2, 4, 3, 4), dropout_at=dropout_at, activation="relu", rows=3)
    network, leaves = net.network(2)
    found = []
    for shortcut in (True, False):
        z, jacobians = site_jacobians(network, shortcut=shortcut)
        shares = exact_shares(network, z, jacobians)
        terms = [*shares.values(), jacobian_noise(network, z, jacobians, net.draws(2))]
        found.append([gradients(term, leaves) for term in terms])
    torch.testing.assert_close(*found)


def test_site_jacobians_are_differences_of_the_full_jacobian_in_mask_space() -> None:
    net = tiny(rows=3)
    _, jacobians = site_jacobians(net.network()[0])
    found = torch.cat(list(multiplied(jacobians).values()), dim=-1)[0]
    full = torch.stack([reference.mask_jacobian(net.net, net.w, x) for x in net.x])
    torch.testing.assert_close(found, full[:, :-1] - full[:, -1:])


def test_a_skip_connection_does_not_leak_into_the_jacobian() -> None:
    random = torch.Generator().manual_seed(0)
    x = torch.randn(1, 4, 3, generator=random, dtype=torch.float64)
    w1, w2 = (torch.randn(1, 3, 3, generator=random, dtype=torch.float64).requires_grad_() for _ in range(2))
    h = torch.tanh(x @ w1)
    network = Network(
        forward=lambda behaviour: (h + behaviour(h, "hidden")) @ w2,
        y=torch.zeros(1, 4, dtype=torch.int64),
        variances={"hidden": 1.0},
    )
    _, jacobians = site_jacobians(network)
    differences = (w2[0, :, :-1] - w2[0, :, -1:]).T
    torch.testing.assert_close(multiplied(jacobians)["hidden"][0], h[0].unsqueeze(1) * differences)


# R_approx: estimators.


@pytest.mark.parametrize("estimator", SAMPLED)
@pytest.mark.parametrize("dropout_at", [("hidden",), ("input", "hidden")], ids="+".join)
def test_a_sampled_estimator_converges_to_the_exact_value(
    dropout_at: tuple[str, ...], estimator: str
) -> None:
    net = tiny(dropout_at=dropout_at)
    values, _ = sample(net, estimator, "differentiated")
    assert_mean(values, reference.approximate_regularizer(net.net, net.w, net.x, net.p))


@pytest.mark.parametrize("hessian", ["differentiated", "constant"])
@pytest.mark.parametrize("estimator", SAMPLED)
def test_the_gradient_of_a_sampled_estimator_converges_to_the_exact_one(estimator: str, hessian: str) -> None:
    net = tiny()
    _, found = sample(net, estimator, hessian)
    assert_mean(found, exact_gradient(net, hessian))


@pytest.mark.parametrize("estimator", SAMPLED)
def test_the_samples_are_many_enough_to_tell_the_two_gradients_apart(estimator: str) -> None:
    net = tiny()
    _, found = sample(net, estimator, "constant")
    with pytest.raises(AssertionError, match="standard errors"):
        assert_mean(found, exact_gradient(net, "differentiated"), errors=10)


@pytest.mark.parametrize("estimator", SAMPLED)
def test_averaging_samples_quarters_the_variance_of_four(estimator: str) -> None:
    net = tiny(dropout_at=("input", "hidden"))
    network, _ = net.network(COPIES)
    watch = Watch()
    z = network.forward(watch)
    one, four = (
        explicit_shares(network, z, watch, net.draws(COPIES), estimator=estimator, samples=k) for k in (1, 4)
    )
    ratio = torch.stack(list(one.values())).sum(0).var() / torch.stack(list(four.values())).sum(0).var()
    assert 3.4 < ratio < 4.7


@pytest.mark.parametrize("estimator", ["exact", "auto", "root-hessian", "forward", "sampled-label"])
def test_the_surrogate_scales_each_term_by_its_strength(estimator: str) -> None:
    net = tiny()
    network, _ = net.network(dtype=torch.float32)
    chosen = choices(estimator, "differentiated")

    def terms(explicit: float, implicit: float) -> list[Tensor | None]:
        found = surrogate_loss(network, net.draws(), chosen, explicit=explicit, implicit=implicit)
        return [found.data, found.explicit, found.implicit]

    data, explicit, implicit = terms(1.0, 1.0)
    assert explicit is not None
    assert implicit is not None
    torch.testing.assert_close(terms(3.0, 0.5), [data, 3 * explicit, 0.5 * implicit])
    assert terms(0.0, 0.0)[1:] == [None, None]


# Closed forms and limits.


def test_logistic_regression_has_its_closed_form() -> None:
    random = torch.Generator().manual_seed(0)
    x = torch.randn(1, 7, 4, generator=random, dtype=torch.float64)
    w = torch.randn(1, 4, 2, generator=random, dtype=torch.float64).requires_grad_()
    beta = w[0, :, 1] - w[0, :, 0]
    risk = torch.sigmoid(x[0] @ beta)
    rows = risk * (1 - risk) * (x[0].square() * beta.square()).sum(-1)
    p = 0.25
    expected = p / (1 - p) / 2 * rows.mean()
    found = exact_regularizer(linear_network(x, w, torch.zeros(1, 7, dtype=torch.int64), p))
    torch.testing.assert_close(found, expected[None])


def test_logistic_regression_inside_a_perceptron_has_the_same_closed_form() -> None:
    net = tiny((3, 3, 2), dropout_at=("input",), activation="relu", rows=5)
    parameters = net.parameters()
    with torch.no_grad():  # relu(x + 10) is linear here
        parameters["weight1"].copy_(torch.eye(3, dtype=torch.float64))
        parameters["bias1"].fill_(10.0)
    z, jacobians = net.model.jacobians(parameters, net.x[None], cross_entropy.directions) or pytest.fail(
        "none"
    )
    beta = parameters["weight2"][0, :, 1] - parameters["weight2"][0, :, 0]
    risk = z[0].softmax(-1)[:, 1]
    expected = variance(net.p) / 2 * (risk * (1 - risk) * (net.x.square() @ beta.square())).mean()
    found = exact_shares(net.network()[0], z, jacobians)["input"]
    torch.testing.assert_close(found, expected[None])


def test_labels_from_the_net_itself_make_the_full_second_order_term_the_regularizer() -> None:
    net = tiny(rows=3, p=0.5)
    terms = []
    for x in net.x:
        probabilities = net.net.logits(net.w, x, net.net.still()).softmax(-1)
        labels = range(len(probabilities))
        second = [reference.second_order_term(net.net, net.w, x, torch.tensor(y), net.p) for y in labels]
        terms.append(probabilities @ torch.stack(second))
    torch.testing.assert_close(exact_regularizer(net.network()[0]), torch.stack(terms).mean()[None])


def test_formula_and_definition_draw_together_as_the_layer_widens() -> None:
    def gap(width: int) -> float:
        ratios = []
        for seed in range(12):
            net = tiny((3, width, 3), p=0.125, rows=4, seed=seed)
            labels = [torch.full_like(net.y, y) for y in range(3)]
            true = torch.stack(
                [reference.explicit_regularizer(net.net, net.w, net.x, y, net.p) for y in labels]
            )
            probabilities = net.network()[0].forward(keep_all)[0].softmax(-1).mean(0)
            ratios.append(exact_regularizer(net.network()[0])[0] / (probabilities @ true))
        return abs(torch.stack(ratios).mean().item() - 1)

    gaps = [gap(width) for width in (2, 5, 10)]
    assert gaps == sorted(gaps, reverse=True)
    assert gaps[-1] < 0.05


def test_formula_and_definition_agree_on_a_wide_layer_at_small_p() -> None:
    net = tiny((3, 64, 3), p=0.0625, rows=96, output_scale=4.0)
    network, _ = net.network()
    samples = monte_carlo(network, net.draws(), masks=2000)
    mean, error = samples.mean(-1), samples.std(-1) / 2000**0.5
    distance = (exact_regularizer(network) - mean).abs()
    assert distance < 5 * error + 0.02 * mean.abs()
    assert error < 0.05 * mean.abs()


def test_multiplying_by_drawn_masks_spreads_replicas_over_the_rows() -> None:
    net = tiny(rows=3)
    network, _ = net.network(2)
    draws = net.draws(2)
    z = network.forward(Multiply(draws.masks(4)))
    assert z.shape == (2, 12, 3)
    alone = network.forward(Multiply({site: mask[:, 2:3] for site, mask in draws.masks(4).items()}))
    torch.testing.assert_close(z[:, 6:9], alone)
    assert cross_entropy.value(z, torch.zeros(2, 12, dtype=torch.int64)).shape == (2, 12)


def test_monte_carlo_gives_the_same_in_several_passes(monkeypatch: pytest.MonkeyPatch) -> None:
    net = tiny(rows=3)
    network, _ = net.network(2)
    whole = monte_carlo(network, net.draws(2), masks=7)
    monkeypatch.setattr(explicit, "HELD", 150)
    torch.testing.assert_close(monte_carlo(network, net.draws(2), masks=7), whole)
