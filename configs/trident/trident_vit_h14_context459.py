# Trident with ViT-H/14 on Pascal Context, 459 classes; no published figure.
_base_ = ["trident_vit_b16_context459.py"]
model = dict(
    backbone=dict(model="ViT-H-14", pretrained="laion2b_s32b_b79k"),
    refiner=dict(side_multiple=14),
)
