# What MaskCLIP improves on: the patch tokens of the last block as they are.
_base_ = ["../maskclip/maskclip_tiny_scenes.py"]
model = dict(decode_head=dict(attention_mode="vanilla"))
