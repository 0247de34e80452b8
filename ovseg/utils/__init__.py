"""Files, devices, progress, versions, run lengths, plain data."""
