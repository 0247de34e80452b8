# Mask prompt tuning of a fine-tuned ViT-L/14: the second half of the published model.
_base_ = ["mask_adapted_vit_l14_coco_captions_mpt.py"]
model = dict(
    backbone=dict(tuned="work_dirs/mask_adapted_vit_l14_coco_captions_ft/weights.safetensors")
)
