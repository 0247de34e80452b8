"""Training and measuring of the bundled tiny models on drawn scenes."""
