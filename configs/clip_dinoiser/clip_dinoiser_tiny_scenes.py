# CLIP-DINOiser on the synthetic world, trained without labels by the bundled tiny DINO.
# The synthetic world has no background class and no FOUND, so the foreground is not taught: the
# background convolution stays as it was made, and nothing is cleaned by it. Train, then test:
#     ovseg train configs/clip_dinoiser/clip_dinoiser_tiny_scenes.py --work-dir run
#     ovseg test configs/clip_dinoiser/clip_dinoiser_tiny_scenes.py run/weights.safetensors
_base_ = ["../_base_/training_runtime.py", "../_base_/datasets/scenes.py"]

model = dict(
    type="OpenVocabSegmentor",
    data_preprocessor=dict(type="SegDataPreProcessor", bgr_to_rgb=True, size=(112, 112)),
    backbone=dict(
        type="ClipBackbone",
        model="asset:clip_tiny.json",
        pretrained="asset:clip_tiny.safetensors",
    ),
    decode_head=dict(
        type="ClipDinoiserHead",
        mode="trained",
        in_channels=128,
        channels=64,
        clean_background=False,
        temperature=20.0,
    ),
    templates="photo",
    vocabulary="scenes",
    train_cfg=dict(
        type="DinoiserRecipe",
        dino=dict(model="asset:dino_tiny", pretrained="asset:dino_tiny"),
    ),
    test_cfg=dict(mode="slide", crop_size=112, stride=56, short_side=224),
)

# Crops of the size of a test window; the labels of the scenes are not even loaded.
train_pipeline = [
    dict(type="LoadImageFromFile", imdecode_backend="pillow"),
    dict(type="ImageCrop", size=224),
    dict(type="RandomCrop", crop_size=(112, 112)),
    dict(type="PackSegInputs"),
]
train_dataloader = dict(
    batch_size=16,
    num_workers=1,
    persistent_workers=True,
    sampler=dict(type="InfiniteSampler", shuffle=True),
    dataset=dict(type="SceneDataset", split="train", count=1000, pipeline=train_pipeline),
)
train_cfg = dict(type="ResumableIterLoop", max_iters=500, val_interval=500)
optim_wrapper = dict(
    type="OptimWrapper",
    optimizer=dict(type="AdamW", lr=1e-3, weight_decay=0.01),
)
param_scheduler = [
    dict(type="MultiStepLR", by_epoch=False, milestones=[400], gamma=0.1),
]
default_hooks = dict(checkpoint=dict(interval=100))
