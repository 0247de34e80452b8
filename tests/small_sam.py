"""A SAM small enough for tests: an input of 64 pixels, a grid of 4 x 4 cells."""

SMALL = {
    "image_encoder": {
        "img_size": 64,
        "patch_size": 16,
        "embed_dim": 16,
        "depth": 2,
        "num_heads": 2,
        "use_rel_pos": True,
        "window_size": 2,
        "global_attn_indexes": [1],
        "out_chans": 8,
    },
    "prompt_encoder": {
        "embed_dim": 8,
        "image_embedding_size": [4, 4],
        "input_image_size": [64, 64],
        "mask_in_chans": 16,
    },
    "mask_decoder": {
        "transformer": {"depth": 2, "embedding_dim": 8, "mlp_dim": 16, "num_heads": 2},
        "transformer_dim": 8,
        "iou_head_hidden_dim": 8,
    },
    "pixel_mean": [123.675, 116.28, 103.53],
    "pixel_std": [58.395, 57.12, 57.375],
}
