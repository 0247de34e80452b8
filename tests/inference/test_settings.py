import pytest

from ovseg.errors import ConfigError
from ovseg.inference.windows import InferenceSettings


def test_sides_may_be_pairs():
    settings = InferenceSettings.from_mapping(
        {"mode": "slide", "crop_size": 32, "stride": [16, 8], "short_side": None}
    )
    assert settings.crop_size == (32, 32)
    assert settings.stride == (16, 8)
    assert settings.network_size((30, 50)) == (30, 50)
    assert settings.windows((30, 50)).lefts == (0, 8, 16, 18)


def test_whole_images_are_one_window():
    assert InferenceSettings(mode="whole").windows((30, 50)).boxes() == [(0, 0, 30, 50)]


@pytest.mark.parametrize(
    ("data", "where"),
    [
        ({"mode": "slides"}, "mode"),
        ({"cell_alignment": "corner"}, "cell_alignment"),
        ({"mode": "slide", "crop_size": 0}, "crop_size"),
        ({"mode": "slide", "crop_size": (1, 2, 3)}, "crop_size"),
        ({"mode": "slide", "crop_size": "448"}, "crop_size"),
        ({"mode": "slide", "crop_size": 64, "stride": 65}, "stride"),
        ({"stride": -1}, "stride"),
        ({"window_batch": -1}, "window_batch"),
        ({"window_batch": 1.5}, "window_batch"),
        ({"short_side": 0}, "short_side"),
        ({"long_side": True}, "long_side"),
        ({"threshold": 1.01}, "threshold"),
        ({"threshold": float("nan")}, "threshold"),
        ({"threshold": "high"}, "threshold"),
        ({"crop": 448}, "crop_size"),
        ({"windowbatch": 2}, "window_batch"),
        ("slide", "test_cfg"),
    ],
)
def test_settings_that_cannot_work(data, where):
    with pytest.raises(ConfigError, match=where):
        InferenceSettings.from_mapping(data)


def test_a_crop_between_patches_is_rounded_up_with_a_warning():
    settings = InferenceSettings(mode="slide", crop_size=(33, 64), stride=16)
    with pytest.warns(UserWarning, match="no multiple of the patch of 16"):
        assert settings.fit_patch(16).crop_size == (48, 64)
    with pytest.raises(ConfigError, match="crop_size"):
        settings.fit_patch(16, strict=True)


def test_a_crop_that_fits_stays():
    settings = InferenceSettings(mode="slide", crop_size=32, stride=16)
    assert settings.fit_patch(16, strict=True) is settings
