# Trident with ViT-H/14 on Pascal VOC 2012, background and 20 objects; published: 70.8 mIoU.
_base_ = ["trident_vit_b16_voc21.py"]
model = dict(
    backbone=dict(model="ViT-H-14", pretrained="laion2b_s32b_b79k"),
    refiner=dict(side_multiple=14),
)
