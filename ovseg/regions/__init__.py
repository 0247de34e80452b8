"""Regions of dense features: pooling over boxes and masks, and the accuracy of their names."""

from ovseg.regions.classification import RegionClassification, class_means, top_hits
from ovseg.regions.features import region_features
from ovseg.regions.pooling import mask_mean, mask_pool, roi_grid, roi_pool
from ovseg.regions.segments import Segments, segment_regions

__all__ = [
    "RegionClassification",
    "Segments",
    "class_means",
    "mask_mean",
    "mask_pool",
    "region_features",
    "roi_grid",
    "roi_pool",
    "segment_regions",
    "top_hits",
]
