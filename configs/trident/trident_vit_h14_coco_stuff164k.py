# Trident with ViT-H/14 on COCO-Stuff 164k, 171 classes; published: 28.6 mIoU.
_base_ = ["trident_vit_b16_coco_stuff164k.py"]
model = dict(
    backbone=dict(model="ViT-H-14", pretrained="laion2b_s32b_b79k"),
    refiner=dict(side_multiple=14),
)
