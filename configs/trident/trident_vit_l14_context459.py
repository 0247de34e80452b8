# Trident with ViT-L/14 on Pascal Context, 459 classes; no published figure.
_base_ = ["trident_vit_b16_context459.py"]
model = dict(
    backbone=dict(model="ViT-L-14-quickgelu", pretrained="openai"),
    refiner=dict(side_multiple=14),
)
