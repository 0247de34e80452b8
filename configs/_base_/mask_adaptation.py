# Mask-adapted CLIP from pairs of regions and words; published: mixed precision (--amp).
# Where the variable OVSEG_DATA is set, it stands for the folder data/.
_base_ = ["training_runtime.py"]

train_dataloader = dict(
    num_workers=4,
    persistent_workers=True,
    drop_last=True,
    collate_fn=dict(type="default_collate"),
    sampler=dict(type="InfiniteSampler", shuffle=True),
    dataset=dict(
        type="MaskTextPairDataset",
        ann_file="{{$OVSEG_DATA:data}}/coco_proposal_1cap/pairs.tsv",
        pipeline=[dict(type="LoadRegion"), dict(type="RandomRegionCrop", size=224)],
    ),
)
optim_wrapper = dict(
    type="OptimWrapper",
    optimizer=dict(type="AdamW", betas=(0.9, 0.98), eps=1e-6),
)
