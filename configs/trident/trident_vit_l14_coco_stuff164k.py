# Trident with ViT-L/14 on COCO-Stuff 164k, 171 classes; no published figure.
_base_ = ["trident_vit_b16_coco_stuff164k.py"]
model = dict(
    backbone=dict(model="ViT-L-14-quickgelu", pretrained="openai"),
    refiner=dict(side_multiple=14),
)
