_base_ = [
    "../_base_/models/maskclip_vit_b16_laion2b.py",
    "../_base_/datasets/voc20.py",
    "../_base_/default_runtime.py",
]
model = dict(vocabulary="voc20_clip_dinoiser")
