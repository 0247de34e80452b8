# The same on parts that PAMR has sharpened, so that regions follow the things' outlines.
_base_ = ["mask_adapted_tiny.py"]
model = dict(decode_head=dict(proposer=dict(refiner=dict(type="PamrRefiner"))))
