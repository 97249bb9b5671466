"""Text of a Markov chain."""


def texts():
    """Three texts of one Markov chain."""
    random = generator("data/markov")
    chain = random_rows(SYMBOLS, SYMBOLS, CONCENTRATION, "data/markov/chain")
    return [walk(chain, length, random) for length in LENGTHS]
