"""Masks: what a source of them is, crops by them, mask prompts, resizing."""
