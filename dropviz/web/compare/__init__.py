"""The Compare page: runs are found again and laid beside each other."""
