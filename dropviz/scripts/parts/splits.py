"""From examples to tensors of three splits."""

import numpy as np
import torch


def split(x, y):
    """In random order: TRAIN_SIZE examples for training, half of the others for validation, half for the test."""
    order = generator("data/split").permutation(len(x))
    return dealt(x, y, order)


def split_by_class(x, y):
    """The same with every class in its share: the k-th of its n examples comes at about (k + u) / n of the way."""
    random = generator("data/split")
    order = random.permutation(len(x))
    place = np.empty(len(x))
    for label in np.unique(y):
        members = np.flatnonzero(y[order] == label)
        place[members] = (np.arange(len(members)) + random.random()) / len(members)
        place[members[0]] = 0
    return dealt(x, y, order[np.argsort(place, kind="stable")])


def dealt(x, y, order):
    """Training, validation and test split, each (x, y)."""
    x, y = x.astype(np.float32), y.astype(np.int64 if y.ndim == 1 else np.float32)
    middle = TRAIN_SIZE + (len(x) - TRAIN_SIZE) // 2
    return {
        name: (x[part], y[part])
        for name, part in zip(SPLITS, np.split(order, [TRAIN_SIZE, middle]), strict=True)
    }


def standardized(splits):
    """Features minus the training split's mean, over its deviation; 0 where they do not vary in training."""
    train, _ = splits["train"]
    constant = (train == train[0]).all(axis=0)
    deviation = np.where(constant, np.float32(np.inf), train.std(axis=0))
    return {name: ((x - train.mean(axis=0)) / deviation, y) for name, (x, y) in splits.items()}


def standardized_targets(splits):
    """The same of the numbers to predict; those that do not vary in training keep their scale."""
    _, train = splits["train"]
    constant = (train == train[0]).all(axis=0)
    deviation = np.where(constant, np.float32(1), train.std(axis=0))
    return {name: (x, (y - train.mean(axis=0)) / deviation) for name, (x, y) in splits.items()}


def redrawn(y):
    """Training labels, each redrawn from all classes with probability LABEL_NOISE."""
    random = generator("data/label-noise")
    labels = random.integers(0, CLASSES, size=len(y))
    return np.where(random.random(len(y)) < LABEL_NOISE, labels, y)


def tensors(splits):
    """The same in torch."""
    return {name: (torch.from_numpy(x), torch.from_numpy(y)) for name, (x, y) in splits.items()}


def minibatch(x, y, step):
    """BATCH of the training examples, drawn with replacement."""
    high = words("train/minibatch", BATCH, step) >> np.uint64(32)
    rows = torch.from_numpy(((high * np.uint64(len(x))) >> np.uint64(32)).astype(np.int64))
    return x[rows], y[rows]
