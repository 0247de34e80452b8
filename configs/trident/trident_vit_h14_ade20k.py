# Trident with ViT-H/14 on ADE20K, 150 classes; published: 26.7 mIoU.
_base_ = ["trident_vit_b16_ade20k.py"]
model = dict(
    backbone=dict(model="ViT-H-14", pretrained="laion2b_s32b_b79k"),
    refiner=dict(side_multiple=14),
)
