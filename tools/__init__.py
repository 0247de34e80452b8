"""Programs around the package; those in folders run as `python -m tools.FOLDER.NAME`."""
