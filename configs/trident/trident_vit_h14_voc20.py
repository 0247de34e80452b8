# Trident with ViT-H/14 on Pascal VOC 2012, 20 objects; published: 88.7 mIoU.
_base_ = ["trident_vit_b16_voc20.py"]
model = dict(
    backbone=dict(model="ViT-H-14", pretrained="laion2b_s32b_b79k"),
    refiner=dict(side_multiple=14),
)
