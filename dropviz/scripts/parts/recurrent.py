"""Recurrent layers, token by token. A weight is one (units, gates), or several, where it was dropped by several masks."""

import torch
from torch.nn import functional


def several(weight):
    """(networks, inputs, outputs), of one network too."""
    return weight.reshape(-1, *weight.shape[-2:])


def embedded(x, table):
    """Rows of an embedding of which whole rows are dropped: (streams, tokens) → (streams, tokens, numbers)."""
    table = several(table)
    first = torch.arange(len(table))[:, None] * table.shape[1]
    return functional.embedding(x.reshape(len(table), -1) + first, table.flatten(0, 1)).view(*x.shape, -1)


def lstm(layer, given, weight, past):
    """LSTM (Hochreiter & Schmidhuber 1997): c ← σ(f) c + σ(i) tanh(g), h ← σ(o) tanh(c).

    ``given`` (streams, tokens, 4 units) is what comes from below; ``past`` holds the state before the first
    token, then after the last one.
    """
    weight = several(weight)
    rows, units = given.view(len(weight), -1, *given.shape[1:]), weight.shape[1]
    h, c = (before(past, f"{name}{layer}", rows, units) for name in "hc")
    found = []
    for part in rows.unbind(2):
        a = part.baddbmm(h, weight)
        i, f, o = a[..., : 3 * units].sigmoid().chunk(3, -1)
        c = f * c + i * a[..., 3 * units :].tanh()
        h = o * c.tanh()
        found.append(h)
    past[f"h{layer}"], past[f"c{layer}"] = h.detach().flatten(0, 1), c.detach().flatten(0, 1)
    return torch.stack(found, dim=2).flatten(0, 1)


def gru(layer, given, weight, past):
    """GRU (Cho et al. 2014): n = tanh(a + σ(r) b), h ← (1 - σ(z)) n + σ(z) h, with a from below and b from h.

    ``given`` (streams, tokens, 3 units) is what comes from below; ``past`` holds the state before the first
    token, then after the last one.
    """
    weight = several(weight)
    rows, units = given.view(len(weight), -1, *given.shape[1:]), weight.shape[1]
    h, found = before(past, f"h{layer}", rows, units), []
    for part in rows.unbind(2):
        b = h @ weight
        r, z = (part[..., : 2 * units] + b[..., : 2 * units]).sigmoid().chunk(2, -1)
        n = (part[..., 2 * units :] + r * b[..., 2 * units :]).tanh()
        h = n + z * (h - n)
        found.append(h)
    past[f"h{layer}"] = h.detach().flatten(0, 1)
    return torch.stack(found, dim=2).flatten(0, 1)


def before(past, name, rows, units):
    """A state that was carried, or zeros at the beginning of a text."""
    streams = rows.shape[:2]
    return past[name].view(*streams, units) if name in past else torch.zeros(*streams, units)


def with_token_before(layer, h, past):
    """What enters a layer at a token, and at the one before."""
    first = past[f"entered{layer}"][:, None] if f"entered{layer}" in past else torch.zeros_like(h[:, :1])
    past[f"entered{layer}"] = h[:, -1].detach()
    return torch.cat([h, torch.cat([first, h[:, :-1]], dim=1)], dim=-1)


def gates(h, weight, bias):
    """hW + b with a weight of one network, or of several."""
    weight = several(weight)
    rows = h.reshape(len(weight), -1, h.shape[-1])
    a = bias.baddbmm(rows, weight) if len(weight) == 1 else rows @ weight + bias
    return a.view(*h.shape[:-1], -1)


def qrnn(layer, a, past):
    """QRNN (Bradbury et al. 2017): c ← σ(f) c + (1 - σ(f)) tanh(z), h = σ(o) c.

    Its gates ``a`` do not see the state; ``past`` holds c before the first token, then after the last one.
    """
    units = a.shape[-1] // 3
    forget, output = a[..., : 2 * units].sigmoid().chunk(2, -1)
    candidate = a[..., 2 * units :].tanh()
    added = candidate - forget * candidate
    c, found = past[f"c{layer}"] if f"c{layer}" in past else torch.zeros(len(a), units), []
    for now, more in zip(forget.unbind(1), added.unbind(1), strict=True):
        c = now * c + more
        found.append(c)
    past[f"c{layer}"] = c.detach()
    return output * torch.stack(found, dim=1)
