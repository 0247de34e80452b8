# Trident with ViT-L/14 on ADE20K-full, 847 classes; no published figure.
_base_ = ["trident_vit_b16_ade847.py"]
model = dict(
    backbone=dict(model="ViT-L-14-quickgelu", pretrained="openai"),
    refiner=dict(side_multiple=14),
)
