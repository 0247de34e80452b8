# DeCLIP's training of OpenAI's CLIP ViT-B/16 by DINOv2-B. Betas and epsilon are those that the
# published code takes for models of this name; no figures of such a student are published.
_base_ = ["declip_eva_b16_coco.py"]

model = dict(
    backbone=dict(model="ViT-B-16-quickgelu", pretrained="openai"),
    decode_head=dict(attn_scale="sqrt_d"),
)
optim_wrapper = dict(optimizer=dict(betas=(0.9, 0.98), eps=1e-6))
