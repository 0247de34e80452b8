# The proposal network alone: its own names for its masks, CLIP is left out.
_base_ = ["mask_adapted_tiny.py"]
model = dict(decode_head=dict(ensemble=False))
