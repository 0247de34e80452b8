# Trident with ViT-H/14 on ADE20K-full, 847 classes; no published figure.
_base_ = ["trident_vit_b16_ade847.py"]
model = dict(
    backbone=dict(model="ViT-H-14", pretrained="laion2b_s32b_b79k"),
    refiner=dict(side_multiple=14),
)
