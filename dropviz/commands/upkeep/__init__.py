"""What keeps an installation going: backup and restore, pruning, and a check of everything."""
