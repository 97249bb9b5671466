"""MNIST-1D: digits as signals."""

import numpy as np

# Where the pen's right edge is as it writes a digit from top to bottom, a row a digit
TEMPLATES = np.array(
    [
        (-1.2, 0.3, 1.0, 1.5, 1.8, 1.8, 1.8, 1.8, 1.5, 1.0, 0.3, -1.2),
        (-1.8, -0.8, 0.2, 1.2, -1.3, -1.3, -1.3, -1.3, -1.3, -1.3, -1.3, -1.3),
        (0.1, 1.1, 1.6, 1.3, 0.6, -0.2, -0.9, -1.7, -1.9, -0.4, 1.1, 1.6),
        (-0.9, 1.1, 1.6, 1.1, 0.1, -0.9, -0.9, 0.1, 1.1, 1.6, 1.1, -0.9),
        (1.3, 0.8, 0.3, -0.2, -0.7, -1.2, -1.7, -1.7, 1.3, -1.7, -1.7, -1.7),
        (1.6, 1.6, -0.9, -0.9, -0.4, 0.6, 1.4, 1.6, 1.4, 0.6, -0.4, -1.4),
        (0.9, -0.1, -0.8, -1.3, -1.6, -1.6, -0.1, 1.2, 1.4, 1.2, -0.1, -1.6),
        (1.1, 1.6, 1.6, 1.6, 1.1, 0.6, 0.1, -0.4, -0.9, -1.2, -1.4, -1.4),
        (-0.5, 1.0, -0.5, -1.8, -0.5, 1.0, 1.5, 1.0, -0.5, -1.8, -0.5, 1.0),
        (-1.4, 0.3, 1.3, 1.6, 1.3, 0.1, 1.6, 0.8, 0.1, -0.4, -0.9, -1.4),
    ]
)


def examples():
    """Signals of 40 points with a digit in each, after Greydanus 2020 (arXiv:2011.14439); 1,000 each are held out."""
    random = generator("data/mnist-1d")
    y = np.arange(TRAIN_SIZE + 2000) % 10
    column = (len(y), 1)
    x = random.uniform(0.6, 1.4, size=column) * placed(y, random)
    x += SIGNAL_NOISE * correlated(len(y), random) + 0.02 * random.standard_normal(x.shape)
    x += 0.75 * random.uniform(-1, 1, size=column) * np.linspace(-1, 1, 40)
    return x.reshape(-1, 1, 1, 40), y


def placed(y, random):
    """The template of each digit somewhere in a signal of random length, with straight lines between its points."""
    template, points = np.pad(TEMPLATES, ((0, 0), (1, 1))), TEMPLATES.shape[1]
    length = random.uniform(30.0, 46.0, size=(len(y), 1))
    start = (length - points) * (0.5 + TRANSLATION * random.uniform(-0.5, 0.5, size=length.shape))
    position = (np.arange(40) + 0.5) / 40 * length - start
    at = np.clip(position + 0.5, 0, points + 1)
    left = np.minimum(at.astype(int), points)
    share, rows = at - left, y[:, None]
    return (1 - share) * template[rows, left] + share * template[rows, left + 1]


def correlated(count, random):
    """Smooth noise of unit variance: white noise through a Gaussian window of deviation 2."""
    window = np.exp(-(np.arange(-8, 9) ** 2) / 8)
    window /= np.sqrt((window**2).sum())
    white = random.standard_normal((count, 56))
    return sum(weight * white[:, k : k + 40] for k, weight in enumerate(window))
