# Fine-tuning of the whole image encoder of mask-adapted CLIP, ViT-L/14.
# 4 GPUs x 32 pairs, 5 passes over 442,117 pairs: 17270 steps.
_base_ = ["../_base_/mask_adaptation.py"]

model = dict(
    type="ClipContrastiveModel",
    backbone=dict(
        type="ClipBackbone",
        model="ViT-L-14-quickgelu",
        pretrained="openai",
    ),
    trained="tower",
)
train_dataloader = dict(batch_size=32)
train_cfg = dict(type="ResumableIterLoop", max_iters=17270)
optim_wrapper = dict(
    optimizer=dict(lr=5e-6, weight_decay=0.2),
    # No decay on vectors: biases, norms, class token, temperature.
    paramwise_cfg=dict(
        flat_decay_mult=0.0,
        bias_decay_mult=0.0,
        norm_decay_mult=0.0,
        custom_keys={"logit_scale": dict(decay_mult=0.0)},
    ),
)
param_scheduler = [
    dict(type="LinearLR", start_factor=0.01, begin=0, end=100, by_epoch=False),
    dict(type="CosineAnnealingLR", begin=100, end=17270, by_epoch=False),
]
