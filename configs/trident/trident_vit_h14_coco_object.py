# Trident with ViT-H/14 on COCO-Object, background and 80 things; published: 42.2 mIoU.
_base_ = ["trident_vit_b16_coco_object.py"]
model = dict(
    backbone=dict(model="ViT-H-14", pretrained="laion2b_s32b_b79k"),
    refiner=dict(side_multiple=14),
)
