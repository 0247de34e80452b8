# Mask prompt tuning of a fine-tuned ViT-B/16: the second half of the published model.
# 4 GPUs x 32 pairs, 5 passes over 442,117 pairs: 17270 steps.
_base_ = ["../_base_/mask_adaptation.py"]

model = dict(
    type="ClipContrastiveModel",
    backbone=dict(
        type="ClipBackbone",
        model="ViT-B-16-quickgelu",
        pretrained="openai",
        tuned="work_dirs/mask_adapted_vit_b16_coco_captions_ft/weights.safetensors",
    ),
    trained="prompts",
)
train_dataloader = dict(batch_size=32)
train_cfg = dict(type="ResumableIterLoop", max_iters=17270)
optim_wrapper = dict(
    optimizer=dict(lr=0.05, weight_decay=0.0),
)
param_scheduler = [
    dict(type="LinearLR", start_factor=0.01, begin=0, end=100, by_epoch=False),
    dict(type="CosineAnnealingLR", begin=100, end=17270, by_epoch=False),
]
