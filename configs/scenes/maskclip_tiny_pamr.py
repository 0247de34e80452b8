# MaskCLIP with borders that follow the picture's colours.
_base_ = ["../maskclip/maskclip_tiny_scenes.py"]
model = dict(refiner=dict(type="PamrRefiner"))
