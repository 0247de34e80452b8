# Trident with ViT-L/14 on Pascal VOC 2012, background and 20 objects; no published figure.
_base_ = ["trident_vit_b16_voc21.py"]
model = dict(
    backbone=dict(model="ViT-L-14-quickgelu", pretrained="openai"),
    refiner=dict(side_multiple=14),
)
