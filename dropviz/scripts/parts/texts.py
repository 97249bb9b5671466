"""Running texts, read segment by segment in parallel streams."""

import torch


def segment(text, step):
    """Inputs (BATCH, SEGMENT), the tokens that follow them, flat, and whether the text begins anew."""
    length = len(text) // BATCH
    streams = text[: BATCH * length].view(BATCH, length)
    start = step % ((length - 1) // SEGMENT) * SEGMENT
    x, y = streams[:, start : start + SEGMENT], streams[:, start + 1 : start + SEGMENT + 1]
    return x, y.flatten(), start == 0


def pieces(text):
    """Segments in which every token but the first is predicted once.

    Inputs, targets, whether the text begins anew, and how many of the last rows count.
    """
    streams = min(10, max(1, (len(text) - 1) // 2))
    length = (len(text) - 1) // streams
    x, y = (text[shift : streams * length + shift].view(streams, length) for shift in (0, 1))
    for start in range(0, length, SEGMENT):
        part = slice(start, min(start + SEGMENT, length))
        yield x[:, part], y[:, part].flatten(), start == 0, y[:, part].numel()
    if left := len(text) - 1 - streams * length:
        first = len(text) - 1 - max(left, min(SEGMENT, len(text) - 1))
        yield text[None, first:-1], text[first + 1 :], True, left


def evaluate(w, text):
    """Mean loss of a text, a token, without masks."""
    rows, past = [], {}
    with torch.no_grad():
        for x, y, starts, counted in pieces(text):
            past = {} if starts else past
            rows.append(loss(network(w, x, PLAIN, past), y)[-counted:])
    return torch.cat(rows).mean()
