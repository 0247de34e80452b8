"""Images of results: palettes, overlays with a legend, contact sheets."""
