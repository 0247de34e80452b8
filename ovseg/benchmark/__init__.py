"""How long the stages take and how much memory they need; `tools/benchmark.py` is the face."""
