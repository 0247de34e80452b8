# Self-self attention (query-query plus key-key) in place of the value path.
_base_ = ["../maskclip/maskclip_tiny_scenes.py"]
model = dict(decode_head=dict(attention_mode="csa"))
