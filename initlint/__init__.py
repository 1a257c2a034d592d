"""initlint: the linter for how PyTorch models are initialized."""
