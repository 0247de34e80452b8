# DeCLIP: the tiny CLIP with its last block tuned without labels, read by self-self attention.
# self_self_tiny.py is the same read-out of the weights before.
_base_ = ["../maskclip/maskclip_tiny_scenes.py"]
model = dict(
    backbone=dict(tuned="asset:declip_tiny.safetensors"),
    decode_head=dict(_delete_=True, type="DeClipHead", mode="csa", temperature=20.0),
)
