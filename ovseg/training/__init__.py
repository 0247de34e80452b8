"""Training of the methods in plain torch: targets, losses, recipes."""
