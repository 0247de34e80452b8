# Runtime of a training in iterations: safe checkpoints, honest stops, a log with curves.
_base_ = ["default_runtime.py"]

default_hooks = dict(
    checkpoint=dict(type="SafeCheckpointHook", by_epoch=False, interval=500, max_keep_ckpts=2),
)
custom_hooks = [
    dict(type="TeachersHook"),
    dict(type="FiniteLossHook"),
    dict(type="SkippedImagesHook"),
    dict(type="TrainingLogHook"),
]
randomness = dict(seed=0)
