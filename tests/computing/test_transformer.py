"""The Transformer is the one of torch.nn, and Transformer-XL the one of its paper, written out pair by pair."""

from __future__ import annotations

from math import cos, sin, sqrt
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.autograd import grad
from torch.nn import functional

from dropviz.choices import SpecError
from dropviz.masks import Multiply, keep_all
from dropviz.models.attention import by_distance, sinusoids, visible
from dropviz.models.normalization import normalized
from dropviz.models.transformer import Transformer
from dropviz.task import language
from dropviz.training import Block
from tests.computing.letters import TASK, experiment, factors, parameters, sites_of, tokens

SIZES = {"layers": 2, "width": 6, "heads": 2, "feedforward": 5}
EVERYWHERE = ("embedding", "input", "attention", "feedforward", "residual", "output")
XL = Transformer(**SIZES, relative=True, memory=3, dropout_at=EVERYWHERE)


class Times(nn.Module):
    """In the place of a dropout: a given mask."""

    def __init__(self, factor: Tensor) -> None:
        super().__init__()
        self.factor = factor

    def forward(self, h: Tensor) -> Tensor:
        return h * self.factor


def wave(position: int, width: int) -> Tensor:
    """One position, number by number."""
    half = range(0, width, 2)
    numbers = [sin(position / 10_000 ** (i / width)) for i in half]
    numbers += [cos(position / 10_000 ** (i / width)) for i in half]
    return torch.tensor(numbers[:width], dtype=torch.float64)


def row(chosen: dict[str, Tensor], name: str) -> Tensor:
    return chosen[name][0].detach()


def torchs(model: Transformer, chosen: dict[str, Tensor], layer: int, mask: dict[str, Tensor]) -> nn.Module:
    """One layer in torch's own words, with masks in the places of its three dropouts."""
    twin = nn.TransformerEncoderLayer(
        model.width,
        model.heads,
        model.feedforward,
        dropout=0.0,
        activation=model.activation,
        batch_first=True,
        norm_first=True,
        dtype=torch.float64,
    )

    def own(name: str) -> Tensor:
        return row(chosen, f"{name}{layer}")

    twin.load_state_dict(
        {
            "self_attn.in_proj_weight": torch.cat([own("query_weight"), own("key_value_weight")], 1).T,
            "self_attn.in_proj_bias": torch.cat([own("query_bias"), own("key_value_bias")], 1)[0],
            "self_attn.out_proj.weight": own("merge_weight").T,
            "self_attn.out_proj.bias": own("merge_bias")[0],
            "linear1.weight": own("inner_weight").T,
            "linear1.bias": own("inner_bias")[0],
            "linear2.weight": own("outer_weight").T,
            "linear2.bias": own("outer_bias")[0],
            "norm1.weight": own("attention_gain")[0],
            "norm1.bias": own("attention_shift")[0],
            "norm2.weight": own("feedforward_gain")[0],
            "norm2.bias": own("feedforward_shift")[0],
        }
    )
    twin.dropout1 = Times(mask[f"residual_attention{layer}"])
    twin.dropout = Times(mask[f"feedforward{layer}"])
    twin.dropout2 = Times(mask[f"residual_feedforward{layer}"])
    return twin


@pytest.mark.parametrize("masked", [False, True], ids=["plain", "masked"])
@pytest.mark.parametrize(("tied", "activation"), [(True, "gelu"), (False, "relu")])
def test_the_transformer_is_the_one_of_torch(tied: bool, activation: Any, masked: bool) -> None:
    places = tuple(place for place in EVERYWHERE if place != "attention")
    model = Transformer(**SIZES, tied=tied, activation=activation, dropout_at=places)
    chosen, x = parameters(model), tokens(length=5)
    drawn = factors(model, x)
    drawn = drawn if masked else {site: torch.ones_like(factor) for site, factor in drawn.items()}
    found = model.forward(chosen, x, Multiply(drawn, 1))[0].unflatten(0, x.shape[1:])

    mask = {site: factor[0, 0] for site, factor in drawn.items()}
    h = sqrt(6) * functional.embedding(x[0], row(chosen, "embedding") * mask["embedding"])
    h = (h + torch.stack([wave(position, 6) for position in range(5)])) * mask["input"]
    later = nn.Transformer.generate_square_subsequent_mask(5, dtype=torch.float64)
    for layer in (1, 2):
        h = torchs(model, chosen, layer, mask)(h, src_mask=later, is_causal=True)
    h = functional.layer_norm(h, (6,), row(chosen, "norm_gain")[0], row(chosen, "norm_shift")[0])
    output = row(chosen, "embedding").T if tied else row(chosen, "output_weight")
    expected = (h * mask["output"]) @ output + row(chosen, "output_bias")
    torch.testing.assert_close(found, expected)


# Transformer-XL, pair by pair: Dai et al. (2019), section 3.


def attended(model: Transformer, own: dict[str, Tensor], seen: Tensor, tokens: int, mask: Tensor) -> Tensor:
    """What attention adds for one stream: (L + T, D) → (T, D), a mask (H, T, M + T)."""
    size = model.width // model.heads
    n = functional.layer_norm(seen, (model.width,), own["attention_gain"][0], own["attention_shift"][0])
    weight_key, weight_value = own["key_value_weight"].chunk(2, 1)
    bias_key, bias_value = own["key_value_bias"][0].chunk(2)
    past, blank = len(seen) - tokens, mask.shape[-1] - len(seen)
    rows = []
    for i in range(past, len(seen)):
        heads = []
        for head in range(model.heads):
            part = slice(head * size, head * size + size)
            u, v = own["content_bias"][0, part], own["distance_bias"][0, part]
            query = n[i] @ own["query_weight"][:, part]
            scores = []
            for j in range(i + 1):
                content = n[j] @ weight_key[:, part] + bias_key[part]
                distance = wave(i - j, model.width) @ own["distance_weight"][:, part]
                a, b, c, d = query @ content, query @ distance, u @ content, v @ distance
                scores.append((a + b + c + d) / sqrt(size))
            shares = torch.stack(scores).softmax(0) * mask[head, i - past, blank : blank + i + 1]
            values = n[: i + 1] @ weight_value[:, part] + bias_value[part]
            heads.append(sum(share * value for share, value in zip(shares, values, strict=True)))
        rows.append(torch.cat(heads) @ own["merge_weight"] + own["merge_bias"][0])
    return torch.stack(rows)


def paper(
    model: Transformer, chosen: dict[str, Tensor], x: Tensor, mask: dict[str, Tensor], past: list[Tensor]
) -> Tensor:
    """Logits of one stream (T,) → (T, V); ``past``: what each layer remembers (≤ M, D), replaced."""
    h = sqrt(model.width) * (row(chosen, "embedding") * mask["embedding"])[x] * mask["input"]
    for layer in range(1, model.layers + 1):
        own = {
            name.removesuffix(str(layer)): row(chosen, name) for name in chosen if name.endswith(str(layer))
        }
        seen = torch.cat([past[layer - 1], h])
        past[layer - 1] = seen[max(0, len(seen) - model.memory) :]
        added = attended(model, own, seen, len(x), mask[f"attention{layer}"])
        h = h + added * mask[f"residual_attention{layer}"]
        n = functional.layer_norm(h, (model.width,), own["feedforward_gain"][0], own["feedforward_shift"][0])
        inner = functional.gelu(n @ own["inner_weight"] + own["inner_bias"]) * mask[f"feedforward{layer}"]
        added = inner @ own["outer_weight"] + own["outer_bias"]
        h = h + added * mask[f"residual_feedforward{layer}"]
    n = functional.layer_norm(h, (model.width,), row(chosen, "norm_gain")[0], row(chosen, "norm_shift")[0])
    return (n * mask["output"]) @ row(chosen, "embedding").T + row(chosen, "output_bias")


@pytest.mark.parametrize("masked", [False, True], ids=["plain", "masked"])
@pytest.mark.parametrize("memory", [0, 2, 3, 5])
def test_transformer_xl_is_the_one_of_the_paper(memory: int, masked: bool) -> None:
    model = Transformer(**SIZES, relative=True, memory=memory, dropout_at=EVERYWHERE)
    chosen, x = parameters(model), tokens(streams=2, length=9)
    carried: dict[str, Tensor] = {}
    pasts = [[torch.zeros(0, 6, dtype=torch.float64)] * 2 for _ in range(2)]
    for part in x.split(3, 2):
        drawn = factors(model, part)
        drawn = drawn if masked else {site: torch.ones_like(factor) for site, factor in drawn.items()}
        z = model.forward(chosen, part, Multiply(drawn, 1), carried)[0].unflatten(0, part.shape[1:])
        for stream, past in enumerate(pasts):
            mask = {
                site: factor[0, 0] if site == "embedding" else factor[0, 0, stream]
                for site, factor in drawn.items()
            }
            torch.testing.assert_close(z[stream], paper(model, chosen, part[0, stream], mask, past))
            for layer, value in enumerate(past, start=1):
                if memory:
                    torch.testing.assert_close(carried[f"memory{layer}"][0, stream], value)
    assert bool(carried) == bool(memory)


@pytest.mark.parametrize("memory", [4, 9])
def test_one_layer_with_enough_memory_reads_segments_as_one_text(memory: int) -> None:
    sizes = SIZES | {"layers": 1}
    model = Transformer(**sizes, relative=True, memory=memory)
    chosen, x = parameters(model, 2), tokens(2, length=7)
    whole = model.forward(chosen, x, keep_all).unflatten(1, x.shape[1:])
    carried: dict[str, Tensor] = {}
    parts = [
        model.forward(chosen, part, keep_all, carried).unflatten(1, part.shape[1:])
        for part in x.split([4, 3], 2)
    ]
    torch.testing.assert_close(torch.cat(parts, 2), whole)
    if memory == 9:  # of which a third segment sees all
        extra = tokens(2, length=2, seed=5)
        longer = model.forward(chosen, torch.cat([x, extra], 2), keep_all).unflatten(1, (3, -1))
        found = model.forward(chosen, extra, keep_all, carried).unflatten(1, (3, -1))
        torch.testing.assert_close(found, longer[:, :, 7:])


def test_without_a_past_memory_changes_nothing() -> None:
    chosen, x = parameters(XL), tokens()
    for memory in (0, 1, 20):
        other = Transformer(**SIZES, relative=True, memory=memory)
        torch.testing.assert_close(other.forward(chosen, x, keep_all), XL.forward(chosen, x, keep_all))


def test_the_memory_grows_to_its_size_and_masks_keep_theirs() -> None:
    chosen, x = parameters(XL), tokens(length=2)
    carried: dict[str, Tensor] = {}
    sizes = []
    for _ in range(3):
        XL.forward(chosen, x, Multiply(factors(XL, x), 1), carried)
        sizes.append({name: value.shape for name, value in carried.items()})
    assert sizes == [{"memory1": (1, 3, size, 6), "memory2": (1, 3, size, 6)} for size in (2, 3, 3)]
    assert sites_of(XL, x).shapes["attention1"] == (3, 2, 2, 5)


def test_training_remembers_without_derivatives_each_replica_its_own() -> None:
    block = Block(experiment(XL, steps=3), "dropout-2", [0, 1])
    for _ in range(2):
        block.update()
    carried = block.stacked.carried[2]
    assert {name: value.shape for name, value in carried.items()} == {
        f"memory{layer}": (2, 6, 3, 6) for layer in (1, 2)
    }
    assert not any(value.requires_grad for value in carried.values())
    one, other = carried["memory2"].unflatten(1, (2, 3)).unbind(1)
    assert bool((one != other).any())


def test_sites_have_the_shapes_of_what_they_drop() -> None:
    model = Transformer(**SIZES, dropout_at=EVERYWHERE)
    record = sites_of(model, tokens())
    assert record.weights == {"embedding"}
    layer = {"attention": (3, 2, 4, 4), "residual_attention": (3, 4, 6)}
    layer |= {"feedforward": (3, 4, 5), "residual_feedforward": (3, 4, 6)}
    expected = {"embedding": (TASK.outputs, 1), "input": (3, 4, 6)}
    for number in (1, 2):
        expected |= {f"{name}{number}": shape for name, shape in layer.items()}
    assert record.shapes == expected | {"output": (3, 4, 6)}


def test_the_output_site_goes_straight_into_the_output() -> None:
    model = Transformer(**SIZES, dropout_at=("output",))
    chosen = parameters(model)
    found = model.output_layer(chosen)
    assert found is not None
    assert found[0] == "output"
    assert torch.equal(found[1], chosen["embedding"].transpose(1, 2))
    assert Transformer(**SIZES).output_layer(chosen) is None


# Parts.


@pytest.mark.parametrize("width", [1, 4, 5])
def test_sinusoids_are_those_of_each_position(width: int) -> None:
    positions = torch.tensor([0, 1, 2, 1000], dtype=torch.float64)
    expected = torch.stack([wave(int(position), width) for position in positions])
    torch.testing.assert_close(sinusoids(positions, width), expected)
    torch.testing.assert_close(sinusoids(positions.float(), width).double(), expected, rtol=0, atol=1e-4)


def test_normalization_is_torchs_and_its_third_derivative_is_that_of_small_steps() -> None:
    random = torch.Generator().manual_seed(0)
    h, gain, shift, *ways = (torch.randn(2, 1, 4, generator=random, dtype=torch.float64) for _ in range(6))

    def along(f: Any, steps: list[Tensor]) -> Tensor:
        at, value = h.clone().requires_grad_(), None
        for way in steps:
            value = f(at).pow(2).sum() if value is None else value
            value = (grad(value, at, create_graph=True)[0] * way).sum()
        assert value is not None
        return value

    def own(at: Tensor) -> Tensor:
        return normalized(at, gain, shift)

    expected = [functional.layer_norm(h[s], (4,), gain[s, 0], shift[s, 0]) for s in range(2)]
    torch.testing.assert_close(own(h), torch.stack(expected))
    ends = [along(lambda at, d=d: own(at + d * ways[2]), ways[:2]) for d in (1e-5, -1e-5)]
    torch.testing.assert_close(along(own, ways), (ends[0] - ends[1]) / 2e-5, rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize(("count", "keys"), [(1, 1), (3, 3), (1, 4), (3, 5), (4, 9)])
def test_scores_by_distance_come_to_their_keys(count: int, keys: int) -> None:
    scores = torch.randn(2, 3, count, keys, generator=torch.Generator().manual_seed(0))
    found = by_distance(scores)
    for i in range(count):
        for j in range(keys - count + i + 1):
            distance = keys - count + i - j
            assert torch.equal(found[..., i, j], scores[..., i, keys - 1 - distance])


def test_a_token_sees_what_is_remembered_and_what_came_before_it() -> None:
    seen = visible(3, 7, 2, torch.zeros(1, dtype=torch.float64)) == 0
    assert seen.int().tolist() == [[0, 0, 1, 1, 1, 0, 0], [0, 0, 1, 1, 1, 1, 0], [0, 0, 1, 1, 1, 1, 1]]


def test_weights_begin_as_in_gpt2() -> None:
    model = Transformer(layers=3, width=120, heads=4, feedforward=200, relative=True, tied=False)
    for name, value in model.initial(0, language(300, "word")).items():
        if "weight" not in name and name != "embedding":
            assert (value == ("gain" in name)).all()
            continue
        spread = 0.02 / (sqrt(6) if name.startswith(("merge", "outer")) else 1)
        scaled = value.astype(np.float64) / spread
        assert abs(scaled.mean()) < 5 / sqrt(scaled.size)
        assert abs(scaled.var() - 1) < 5 * sqrt(2 / scaled.size)


def test_numbers_per_token_grow_with_the_memory() -> None:
    one, other = (Transformer(relative=True, memory=memory) for memory in (0, 100))
    assert other.units(TASK) - one.units(TASK) == 2 * 2 * 4 * 100
    assert other.multiplications(TASK) - one.multiplications(TASK) == 2 * 3 * 128 * 100


# Choices.


def test_memory_needs_relative_positions() -> None:
    with pytest.raises(
        SpecError, match=r"memory = 8 is not possible.*set relative to true, or memory to 0\."
    ):
        Transformer.from_table({"memory": 8})


def test_heads_divide_the_width() -> None:
    with pytest.raises(SpecError, match=r"heads = 3 is not possible: it must divide width = 128"):
        Transformer.from_table({"heads": 3})


def test_dropout_at_an_unknown_place_is_refused() -> None:
    with pytest.raises(SpecError, match=r"'hidden' is no place of this network.*residual_attention1"):
        Transformer.from_table({"dropout_at": ["hidden"]})
