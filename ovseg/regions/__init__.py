"""Regions of dense features: pooling over boxes and masks, and the accuracy of their names."""

from ovseg.regions.classification import RegionClassification, class_means, top_hits
from ovseg.regions.features import region_features
from ovseg.regions.pooling import mask_mean, mask_pool, roi_grid, roi_pool

__all__ = [
    "RegionClassification",
    "class_means",
    "mask_mean",
    "mask_pool",
    "region_features",
    "roi_grid",
    "roi_pool",
    "top_hits",
]
