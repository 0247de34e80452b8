# Trident with ViT-H/14 on Cityscapes, 19 classes; published: 47.6 mIoU.
_base_ = ["trident_vit_b16_cityscapes.py"]
model = dict(
    backbone=dict(model="ViT-H-14", pretrained="laion2b_s32b_b79k"),
    refiner=dict(side_multiple=14),
)
