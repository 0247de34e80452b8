"""Windows over an image, grids of scores, and the strip-wise decode."""
