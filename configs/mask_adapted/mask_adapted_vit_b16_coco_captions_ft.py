# Fine-tuning of the whole image encoder of mask-adapted CLIP, ViT-B/16.
# 4 GPUs x 128 pairs, 5 passes over 442,117 pairs: 4315 steps.
_base_ = ["../_base_/mask_adaptation.py"]

model = dict(
    type="ClipContrastiveModel",
    backbone=dict(
        type="ClipBackbone",
        model="ViT-B-16-quickgelu",
        pretrained="openai",
    ),
    trained="tower",
)
train_dataloader = dict(batch_size=128)
train_cfg = dict(type="ResumableIterLoop", max_iters=4315)
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
    dict(type="CosineAnnealingLR", begin=100, end=4315, by_epoch=False),
]
