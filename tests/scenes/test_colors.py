import numpy as np
import pytest

from ovseg.errors import PromptError
from ovseg.scenes.colors import COLORS, contrast, is_dark, mix_colors, nearest_color, sample_color


def test_the_words_are_the_basic_color_terms():
    assert set(COLORS) == {
        *("red", "orange", "yellow", "green", "blue", "purple"),
        *("pink", "brown", "white", "black", "grey"),
    }


@pytest.mark.parametrize("word", COLORS)
def test_a_drawn_shade_reads_as_its_word(word):
    rng = np.random.default_rng(0)
    shades = [sample_color(word, rng) for _ in range(200)]
    assert {nearest_color(shade) for shade in shades} == {word}
    assert len(set(shades)) > 150
    assert all(type(v) is int and 0 <= v <= 255 for shade in shades for v in shade)


def test_the_same_generator_state_gives_the_same_shade():
    first, second = (sample_color("red", np.random.default_rng(7)) for _ in range(2))
    assert first == second


def test_an_unknown_word_is_refused_with_the_known_ones():
    with pytest.raises(PromptError, match="unknown color 'teal'.*red, orange"):
        sample_color("teal", np.random.default_rng(0))


def test_mix_ends_at_its_two_colors():
    assert mix_colors((1, 2, 3), (9, 8, 7), 0.0) == (1, 2, 3)
    assert mix_colors((1, 2, 3), (9, 8, 7), 1.0) == (9, 8, 7)


@pytest.mark.parametrize("word", COLORS)
def test_contrast_lightens_the_dark_and_darkens_the_rest(word):
    shade = COLORS[word][0]
    change = sum(contrast(shade)) - sum(shade)
    assert (change > 0) == is_dark(shade)
    assert change != 0
