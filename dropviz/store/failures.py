"""Why jobs fail: the sentence that a job keeps, sorted into a few classes to count and to log."""

from __future__ import annotations

# What a sentence has in it → its class. The sentences are those of engine/child.py, engine/dispatcher.py and training/records.py.
CLASSES = {
    "ran out of memory": "memory",
    "not finite": "diverged",
    "was killed by signal": "killed",
    "was silent for": "silent",
    "ended with exit code": "exited",
    "had lost points": "lost points",
    "has other code": "other code",
    "This torch cannot use": "no device",
}
OTHER = "other"
REASONS = (*CLASSES.values(), OTHER)


def reason(sentence: str) -> str:
    """The class of a failure, one of ``REASONS``."""
    return next((name for part, name in CLASSES.items() if part in sentence), OTHER)
