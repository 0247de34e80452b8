# The tiny proposal network for the words of the tiny CLIP, learned on drawn scenes from random
# weights. About an hour on two cores, one process each:
#     tools/dist_train.sh configs/mask_adapted/mask_adapted_tiny_scenes_proposals.py 2 \
#         --amp bf16 --device cpu --work-dir run
_base_ = ["../_base_/training_runtime.py", "../_base_/maskformer_tiny.py"]

model = dict(
    type="MaskFormerModel",
    data_preprocessor=dict(type="SegDataPreProcessor", bgr_to_rgb=True, size=(224, 224)),
    backbone={{_base_.proposal_backbone}},
    head={{_base_.proposal_head}},
    # Nothing is pretrained here, so the pixels themselves have to teach the backbone.
    pixel_weight=1.0,
    clip=dict(
        type="ClipBackbone",
        model="asset:clip_tiny.json",
        pretrained="asset:clip_tiny.safetensors",
    ),
    vocabulary="scenes",
    templates="photo",
)
train_pipeline = [
    dict(type="LoadImageFromFile", imdecode_backend="pillow"),
    dict(type="LoadLabels"),
    dict(type="RandomFlip", prob=0.5),
    dict(type="PackSegInputs"),
]
# 2 processes x 8 scenes.
train_dataloader = dict(
    batch_size=8,
    num_workers=1,
    persistent_workers=True,
    sampler=dict(type="InfiniteSampler", shuffle=True),
    dataset=dict(type="SceneDataset", split="train", count=100000, pipeline=train_pipeline),
)
train_cfg = dict(type="ResumableIterLoop", max_iters=4400)
optim_wrapper = dict(
    type="OptimWrapper",
    optimizer=dict(type="AdamW", lr=1e-3, weight_decay=0.05),
    clip_grad=dict(max_norm=1.0),
)
param_scheduler = [
    dict(type="LinearLR", start_factor=0.01, begin=0, end=50, by_epoch=False),
    dict(type="PolyLR", power=0.9, eta_min=0.0, begin=0, end=4400, by_epoch=False),
]
default_hooks = dict(checkpoint=dict(interval=200))
