_base_ = [
    "../_base_/models/maskclip_vit_b16_laion2b.py",
    "../_base_/datasets/context60.py",
    "../_base_/default_runtime.py",
]
model = dict(vocabulary="context60_clip_dinoiser")
