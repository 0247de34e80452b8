"""Evaluation: integer confusion counts and the figures made from them."""
