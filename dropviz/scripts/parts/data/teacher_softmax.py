"""Labels from a known softmax model."""


def examples():
    """x ~ N(0, I) and labels drawn from softmax(Wx) with orthogonal rows of length SCALE; 2,000 examples each are held out."""
    random = generator("data/teacher-softmax")
    x = random.standard_normal((TRAIN_SIZE + 4000, DIMENSION))
    logits = SCALE * x @ cosine_basis(CLASSES, DIMENSION).T
    return x, (logits + random.gumbel(size=logits.shape)).argmax(axis=1)
