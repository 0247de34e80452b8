# MaskCLIP with borders that follow the image's colors.
_base_ = ["../maskclip/maskclip_tiny_scenes.py"]
model = dict(refiner=dict(type="PamrRefiner"))
