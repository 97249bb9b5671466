"""The parts of causal attention (…, streams, tokens, width)."""

import torch
from torch.nn import functional


def in_heads(h):
    """(…, tokens, width) → (…, HEADS, tokens, width / HEADS)."""
    return h.unflatten(-1, (HEADS, -1)).transpose(-2, -3)


def biased(query, bias):
    """A query plus a bias, over the root of a head's width, in heads."""
    return in_heads((query + bias) * (WIDTH / HEADS) ** -0.5)


def visible(tokens, keys, missing):
    """What is added to scores: -∞ at later tokens and at the first keys, where nothing is remembered yet."""
    scores = torch.full((tokens, keys), -torch.inf).triu(keys - tokens + 1)
    scores[:, :missing] = -torch.inf
    return scores


def sinusoids(positions):
    """The sines, then the cosines of positions at frequencies from 1 to almost 1/10,000: (tokens, WIDTH)."""
    frequencies = 10_000.0 ** -(torch.arange(0, WIDTH, 2, dtype=torch.float32) / WIDTH)
    angles = positions.unsqueeze(-1) * frequencies
    return torch.cat([angles.sin(), angles.cos()], dim=-1)[:, :WIDTH]


def by_distance(scores):
    """Scores of tokens at the distances K - 1, …, 0 → at their keys (Dai et al. 2019, appendix B): each row moves to the left."""
    *before, tokens, keys = scores.shape
    padded = functional.pad(scores, (1, 0)).view(*before, keys + 1, tokens)
    return padded[..., 1:, :].reshape(scores.shape)


def absolute_scores(w, layer, query, key):
    """qᵀk / √d, with positions in the embedding."""
    return biased(query, w[f"query_bias{layer}"]) @ key.transpose(-1, -2)


def relative_scores(w, layer, query, key):
    """((q + u)ᵀk + (q + v)ᵀr) / √d with r of the distance (Dai et al. 2019)."""
    waves = sinusoids(torch.arange(key.shape[-2] - 1, -1, -1, dtype=torch.float32))
    far = in_heads(times(waves[None], w[f"distance_weight{layer}"]))
    content = biased(query, w[f"content_bias{layer}"]) @ key.transpose(-1, -2)
    return content + by_distance(biased(query, w[f"distance_bias{layer}"]) @ far.transpose(-1, -2))


def remembered(layer, h, past):
    """What entered a layer before this segment and in it, and how many of the MEMORY tokens are missing yet."""
    name = f"memory{layer}"
    seen = torch.cat([past[name], h], dim=1) if name in past else h
    past[name] = seen[:, -MEMORY:].detach()
    missing = MEMORY + h.shape[1] - seen.shape[1]
    return functional.pad(seen, (0, 0, missing, 0)), missing
