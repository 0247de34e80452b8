# Proposal network of mask-adapted CLIP, Swin-B for the words of ViT-L/14.
_base_ = ["../_base_/maskformer.py"]

model = dict(
    data_preprocessor=dict(size=(640, 640)),
    backbone=dict(type="SwinFeatures"),
    pretrained="https://github.com/SwinTransformer/storage/releases/download/v1.0.0/"
    "swin_base_patch4_window12_384_22k.pth",
    clip=dict(type="ClipBackbone", model="ViT-L-14-quickgelu", pretrained="openai"),
)
train_pipeline = [
    dict(type="LoadImageFromFile", imdecode_backend="pillow"),
    dict(type="LoadLabels"),
    dict(
        type="RandomChoiceResize",
        scales=[64 * tenth for tenth in range(5, 21)],
        resize_type="ResizeShortestEdge",
        max_size=2560,
    ),
    dict(type="RandomCrop", crop_size=(640, 640)),
    dict(type="PhotoMetricDistortion"),
    dict(type="RandomFlip", prob=0.5),
    dict(type="PackSegInputs"),
]
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
optim_wrapper = dict(optimizer=dict(type="AdamW", lr=6e-5, weight_decay=0.01))
