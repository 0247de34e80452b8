# Mask prompt tuning of mask-adapted CLIP, ViT-L/14: only prompts and temperature are trained.
_base_ = ["mask_adapted_vit_b16_coco_captions_mpt.py"]
model = dict(backbone=dict(model="ViT-L-14-quickgelu"))
