# DeCLIP's training of EVA02-CLIP L/14 at 336 by DINOv2-L; published on 4 GPUs with 2 images each.
_base_ = ["declip_eva_b16_coco.py"]

model = dict(
    backbone=dict(model="EVA02-L-14-336", pretrained="merged2b_s6b_b61k"),
    train_cfg=dict(vfm="dinov2-L", alpha=0.95),
)

# 560 / 14 = 40 patches of 14 pixels.
train_pipeline = [
    dict(type="LoadImage"),
    dict(type="RegionTransform", size=560, vfm_size=560, crop_size=336),
    dict(type="PackRegions"),
]
train_dataloader = dict(batch_size=2, dataset=dict(pipeline=train_pipeline))
