# ADE20K-full (847 classes).
# Where the variable OVSEG_DATA is set, it stands for the folder data/.
test_pipeline = [
    dict(type="LoadImageFromFile", imdecode_backend="pillow"),
    dict(type="LoadLabels"),
    dict(type="PackSegInputs"),
]
val_dataloader = dict(
    batch_size=1,
    num_workers=2,
    sampler=dict(type="DefaultSampler", shuffle=False),
    dataset=dict(
        type="ADE20K847Dataset",
        data_root="{{$OVSEG_DATA:data}}/ade/ADE20K_2021_17_01",
        data_prefix=dict(
            img_path="images_detectron2/validation",
            seg_map_path="annotations_detectron2/validation",
        ),
        pipeline=test_pipeline,
    ),
)
test_dataloader = val_dataloader
val_evaluator = dict(type="OpenVocabIoUMetric", ignore_index=65535)
test_evaluator = val_evaluator
val_cfg = dict(type="ValLoop")
test_cfg = dict(type="TestLoop")
