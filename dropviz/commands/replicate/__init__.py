"""Running the paper's claims: ``dropviz replicate``. What they are is in ``replication``."""
