"""The System page: who works, who waits, what failed, what it takes, and what this installation is."""
