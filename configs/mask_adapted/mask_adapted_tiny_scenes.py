# Mask prompts of the bundled tiny CLIP, tuned on regions of drawn scenes, true ones and proposed.
#     python tools/mine_pairs.py data/scene_regions --scenes 1000 --side 112 \
#         --config configs/scenes/mask_adapted_tiny.py
#     ovseg train configs/mask_adapted/mask_adapted_tiny_scenes.py --work-dir run
# There are only 40 names: equal ones in a batch are no negatives of each other.
# Where the variable OVSEG_DATA is set, it stands for the folder data/.
_base_ = ["../_base_/mask_adaptation.py"]

model = dict(
    type="ClipContrastiveModel",
    backbone=dict(
        type="ClipBackbone",
        model="asset:clip_tiny.json",
        pretrained="asset:clip_tiny.safetensors",
    ),
    trained="prompts",
    merge_duplicates=True,
)
train_dataloader = dict(
    batch_size=32,
    num_workers=1,
    dataset=dict(
        ann_file="{{$OVSEG_DATA:data}}/scene_regions/pairs.tsv",
        pipeline=[dict(type="LoadRegion"), dict(type="RandomRegionCrop", size=112)],
    ),
)
train_cfg = dict(type="ResumableIterLoop", max_iters=200)
optim_wrapper = dict(optimizer=dict(lr=0.05, weight_decay=0.0))
param_scheduler = [
    dict(type="LinearLR", start_factor=0.05, begin=0, end=20, by_epoch=False),
    dict(type="CosineAnnealingLR", begin=20, end=200, by_epoch=False),
]
default_hooks = dict(checkpoint=dict(interval=25))
