"""Data sets, label maps and transforms for mmseg."""
