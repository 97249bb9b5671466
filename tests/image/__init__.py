"""``make image-test``: the container image built and run for real. Takes minutes, root and disk, so no ordinary test does it."""
