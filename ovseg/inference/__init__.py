"""Windows over a picture, grids of scores, and the strip-wise decode."""
