# Trident with ViT-L/14 on COCO-Object, background and 80 things; no published figure.
_base_ = ["trident_vit_b16_coco_object.py"]
model = dict(
    backbone=dict(model="ViT-L-14-quickgelu", pretrained="openai"),
    refiner=dict(side_multiple=14),
)
