"""The encoder is the Transformer encoder of torch.nn, masks included, on patches of images and on features of tables."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from dropviz.choices import SpecError
from dropviz.masks import Multiply, keep_all
from dropviz.models.encoder import Encoder
from dropviz.models.examples import spread
from dropviz.task import classification
from tests.computing.tasks import ROWS, TASKS, factors, inputs, mask_shapes, parameters

KINDS = ("embedding", "attention", "feedforward", "residual", "output")
TABLE, IMAGES, SIGNALS = TASKS["table"], TASKS["images"], TASKS["signals"]
LAYERS = 2


def encoder(**knobs: Any) -> Encoder:
    small = {"layers": LAYERS, "width": 6, "heads": 2, "feedforward": 5, "patch": 4}
    return Encoder(**small | {"dropout_at": KINDS} | knobs)


def tokens_of(model: Encoder, chosen: dict[str, Tensor], x: Tensor) -> Tensor:
    """One seed's (B, T, D), patch by patch or feature by feature."""
    if x.ndim == 2:
        found = [
            x[:, j : j + 1] * chosen["feature"][0, j] + chosen["position"][0, j] for j in range(x.shape[1])
        ]
        return torch.stack(found, 1)
    high, wide = (min(model.patch, size) for size in x.shape[2:])
    weight = chosen["patch_weight"][0].T.unflatten(1, (x.shape[1], high, wide))
    padded = functional.pad(x, (0, -x.shape[3] % wide, 0, -x.shape[2] % high))
    return functional.conv2d(padded, weight, stride=(high, wide)).flatten(2).mT + chosen["position"][0]


def torchs_layer(model: Encoder, chosen: dict[str, Tensor], layer: int) -> nn.TransformerEncoderLayer:
    twin = nn.TransformerEncoderLayer(
        model.width,
        model.heads,
        model.feedforward,
        dropout=0.0,
        activation=model.activation,
        batch_first=True,
        norm_first=True,
    ).double()
    own = {
        name.removesuffix(str(layer)): value[0].detach()
        for name, value in chosen.items()
        if name.endswith(str(layer))
    }
    twin.load_state_dict(
        {
            "self_attn.in_proj_weight": own["query_key_value_weight"].T,
            "self_attn.in_proj_bias": own["query_key_value_bias"][0],
            "self_attn.out_proj.weight": own["merge_weight"].T,
            "self_attn.out_proj.bias": own["merge_bias"][0],
            "linear1.weight": own["inner_weight"].T,
            "linear1.bias": own["inner_bias"][0],
            "linear2.weight": own["outer_weight"].T,
            "linear2.bias": own["outer_bias"][0],
            "norm1.weight": own["attention_gain"][0],
            "norm1.bias": own["attention_shift"][0],
            "norm2.weight": own["feedforward_gain"][0],
            "norm2.bias": own["feedforward_shift"][0],
        }
    )
    return twin


class By(nn.Module):
    """Multiplies by a mask."""

    def __init__(self, mask: Tensor) -> None:
        super().__init__()
        self.mask = mask

    def forward(self, h: Tensor) -> Tensor:
        return h * self.mask


def finished(model: Encoder, chosen: dict[str, Tensor], h: Tensor, mask: Tensor) -> Tensor:
    norm = nn.LayerNorm(model.width).double()
    norm.load_state_dict(
        {"weight": chosen["norm_gain"][0, 0].detach(), "bias": chosen["norm_shift"][0, 0].detach()}
    )
    return norm(h).mean(1) * mask @ chosen["output_weight"][0] + chosen["output_bias"][0]


@pytest.mark.parametrize("activation", ["gelu", "relu"])
@pytest.mark.parametrize("task", [TABLE, IMAGES, SIGNALS], ids=["table", "images", "signals"])
def test_the_encoder_is_the_one_of_torch(task: Any, activation: str) -> None:
    model = encoder(activation=activation)
    chosen, x = parameters(model, task, 0), inputs(task)
    h = tokens_of(model, chosen, x[0])
    for layer in range(1, LAYERS + 1):
        h = torchs_layer(model, chosen, layer)(h)
    expected = finished(model, chosen, h, torch.ones((), dtype=torch.float64))
    torch.testing.assert_close(model.forward(chosen, x, keep_all)[0], expected)


def test_masks_at_the_branches_and_inner_units_act_where_torch_has_its_dropout() -> None:
    model = encoder(dropout_at=("embedding", "feedforward", "residual", "output"))
    chosen, x = parameters(model, IMAGES, 0), inputs(IMAGES)
    drawn = factors(model, IMAGES)
    mask = {site: factor[0, 0] for site, factor in drawn.items()}
    h = tokens_of(model, chosen, x[0]) * mask["embedding"]
    for layer in range(1, LAYERS + 1):
        twin = torchs_layer(model, chosen, layer)
        twin.dropout1 = By(mask[f"residual_attention{layer}"])
        twin.dropout = By(mask[f"feedforward{layer}"])
        twin.dropout2 = By(mask[f"residual_feedforward{layer}"])
        h = twin(h)
    expected = finished(model, chosen, h, mask["output"])
    torch.testing.assert_close(model.forward(chosen, x, Multiply(drawn, 1))[0], expected)


def test_masks_of_attention_act_on_its_probabilities() -> None:
    model = encoder(layers=1, dropout_at=("attention",))
    chosen, x = parameters(model, TABLE, 0), inputs(TABLE)
    drawn = factors(model, TABLE)
    h = tokens_of(model, chosen, x[0])
    rows = functional.layer_norm(h, (6,)) * chosen["attention_gain1"][0] + chosen["attention_shift1"][0]
    query, key, value = (
        rows @ chosen["query_key_value_weight1"][0] + chosen["query_key_value_bias1"][0]
    ).split(6, -1)
    heads = []
    for head in (slice(0, 3), slice(3, 6)):
        scores = torch.einsum("btd,bsd->bts", query[..., head], key[..., head]) / 3**0.5
        mask = drawn["attention1"][0, 0, :, head.start // 3]
        heads.append((scores.exp() / scores.exp().sum(-1, keepdim=True) * mask) @ value[..., head])
    h = h + torch.cat(heads, -1) @ chosen["merge_weight1"][0] + chosen["merge_bias1"][0]
    rows = functional.layer_norm(h, (6,)) * chosen["feedforward_gain1"][0] + chosen["feedforward_shift1"][0]
    inner = functional.gelu(rows @ chosen["inner_weight1"][0] + chosen["inner_bias1"][0])
    h = h + inner @ chosen["outer_weight1"][0] + chosen["outer_bias1"][0]
    expected = finished(model, chosen, h, torch.ones((), dtype=torch.float64))
    torch.testing.assert_close(model.forward(chosen, x, Multiply(drawn, 1))[0], expected)


def test_there_is_a_mask_for_every_pair_of_tokens_and_head() -> None:
    shapes = mask_shapes(encoder(), IMAGES)
    assert shapes["attention1"] == (ROWS, 2, 4, 4)
    assert shapes["embedding"] == shapes["residual_attention1"] == shapes["residual_feedforward2"]
    assert shapes["embedding"] == (ROWS, 4, 6)
    assert shapes["feedforward2"] == (ROWS, 4, 5)
    assert shapes["output"] == (ROWS, 6)


@pytest.mark.parametrize(
    ("shape", "patch", "tokens", "pixels"),
    [((3, 8, 8), 4, 4, 48), ((1, 28, 28), 5, 36, 25), ((1, 1, 40), 4, 10, 4), ((1, 2, 2), 8, 1, 4)],
)
def test_an_image_is_cut_into_patches_that_cover_it(
    shape: tuple[int, ...], patch: int, tokens: int, pixels: int
) -> None:
    task, model = classification(shape, 3), Encoder(patch=patch)
    assert model.tokens(task) == tokens
    assert model.shapes(task)["patch_weight"] == (pixels, 64)
    assert model.shapes(task)["position"] == (tokens, 64)


def test_what_runs_beside_a_site_is_spread_replica_by_replica() -> None:
    h = torch.tensor([[[1.0], [2.0]]])
    assert spread(h, 4).flatten().tolist() == [1, 2, 1, 2]
    assert spread(h, 2) is h


def test_heads_that_do_not_divide_the_width_are_refused() -> None:
    with pytest.raises(SpecError, match=r"heads = 4 is not possible: it must divide width = 6, so change "):
        Encoder.from_table({"width": 6, "heads": 4})


def test_vectors_begin_with_the_spread_of_their_width_and_weights_with_that_of_their_inputs() -> None:
    initial = Encoder().initial(0, classification((200,), 10))
    for name, inputs_ in (("feature", 64), ("position", 64), ("inner_weight1", 64), ("outer_weight1", 128)):
        value = initial[name].astype("float64")
        assert abs(value.var() * inputs_ - 1) < 5 * (2 / value.size) ** 0.5
    assert (initial["norm_gain"] == 1).all()
    assert not any(value.any() for name, value in initial.items() if "bias" in name or "shift" in name)
