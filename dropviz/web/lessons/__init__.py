"""The Lessons page: claim, predict, run, reveal."""
