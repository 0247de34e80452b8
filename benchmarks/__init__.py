"""How long the stages take and how much memory they need: `python -m benchmarks`."""
