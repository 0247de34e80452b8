"""`ovseg test`: a configuration of mmseg measured through mmengine's Runner."""
