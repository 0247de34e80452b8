# The same without mask prompts: CLIP as it is, on regions whose outside is blank.
_base_ = ["mask_adapted_tiny.py"]
model = dict(decode_head=dict(pretrained=None, prompts=False))
