# Trident with ViT-L/14 on Pascal VOC 2012, 20 objects; no published figure.
_base_ = ["trident_vit_b16_voc20.py"]
model = dict(
    backbone=dict(model="ViT-L-14-quickgelu", pretrained="openai"),
    refiner=dict(side_multiple=14),
)
