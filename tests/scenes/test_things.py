import numpy as np
import pytest

from ovseg.errors import InputError, PromptError
from ovseg.scenes.colors import COLORS
from ovseg.scenes.things import MAX_SIDE, THINGS, render_thing

NAMES = tuple(THINGS)
PLACES = {"sky", "ground", "water", "road", "indoor"}


def render(name, seed, color=None, side=40, tilt=0.0):
    return render_thing(name, color, side, tilt, np.random.default_rng(seed))


def words_of(pixels):
    """The color word nearest to each of (n, 3) pixels."""
    words = [word for word, shades in COLORS.items() for _ in shades]
    shades = np.array([shade for group in COLORS.values() for shade in group], float)
    distances = ((pixels[:, None].astype(float) - shades) ** 2).sum(axis=2)
    return [words[index] for index in distances.argmin(axis=1)]


def test_the_table_is_complete():
    assert len(THINGS) == 28
    assert NAMES[:3] == ("house", "tree", "car")
    assert NAMES[-3:] == ("book", "apple", "hat")
    assert sum(bool(thing.held_out_synonyms) for thing in THINGS.values()) >= 16
    assert sum(bool(thing.held_out_colors) for thing in THINGS.values()) >= 14
    assert sum(bool(thing.synonyms) for thing in THINGS.values()) >= 20


@pytest.mark.parametrize("name", NAMES)
def test_a_row_of_the_table_is_sound(name):
    thing = THINGS[name]
    assert thing.name == name
    assert set(thing.colors) <= set(COLORS)
    assert set(thing.held_out_colors) < set(thing.colors) or not thing.held_out_colors
    assert thing.places
    assert set(thing.places) <= PLACES
    assert 0 < thing.scale[0] < thing.scale[1] <= 0.6
    assert 0 <= thing.tilt <= 180


def test_no_two_things_share_a_word():
    words = [
        word
        for thing in THINGS.values()
        for word in (thing.name, *thing.synonyms, *thing.held_out_synonyms)
    ]
    assert len(words) == len(set(words))
    assert all(word == word.lower().strip() for word in words)


@pytest.mark.parametrize("name", NAMES)
def test_the_drawing_covers_a_sane_share(name):
    for seed in range(6):
        rgb, alpha = render(name, seed)
        assert rgb.shape == (40, 40, 3)
        assert alpha.shape == (40, 40)
        assert rgb.dtype == alpha.dtype == np.uint8
        assert 0.1 < (alpha >= 128).mean() < 0.95


@pytest.mark.parametrize("name", NAMES)
def test_the_same_seed_gives_the_same_bytes(name):
    first, second = render(name, 3, tilt=11.5), render(name, 3, tilt=11.5)
    assert first[0].tobytes() == second[0].tobytes()
    assert first[1].tobytes() == second[1].tobytes()


@pytest.mark.parametrize("name", [name for name in NAMES if name != "ball"])
def test_shapes_vary_with_the_seed(name):
    assert len({render(name, seed)[1].tobytes() for seed in range(12)}) >= 6


@pytest.mark.parametrize("name", NAMES)
def test_images_differ_from_seed_to_seed(name):
    images = {render(name, seed)[0].tobytes() for seed in range(12)}
    assert len(images) == 12


@pytest.mark.parametrize("name", NAMES)
def test_the_main_color_is_the_most_frequent_one(name):
    hits = []
    for word in THINGS[name].colors:
        for seed in range(4):
            rgb, alpha = render(name, seed, word)
            words = words_of(rgb[alpha == 255])
            hits.append(max(set(words), key=words.count) == word)
    assert not hits or np.mean(hits) >= 0.75


@pytest.mark.parametrize("name", NAMES)
def test_a_free_color_is_never_a_held_out_one(name):
    thing = THINGS[name]
    for word in thing.held_out_colors:
        held_out = 0
        for seed in range(8):
            rgb, alpha = render(name, seed)
            held_out += words_of(rgb[alpha == 255]).count(word) / (alpha == 255).sum() > 0.7
        assert held_out == 0


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("side", [8, 33, 90])
def test_every_side_and_tilt_can_be_drawn(name, side):
    for tilt in (-170.0, 45.0):
        rgb, alpha = render(name, 1, side=side, tilt=tilt)
        assert rgb.shape == (side, side, 3)
        assert (alpha >= 128).any()


@pytest.mark.parametrize("name", NAMES)
def test_a_tilt_turns_the_thing_and_cuts_nothing_off(name):
    _, upright = render(name, 5, side=80)
    _, tilted = render(name, 5, side=80, tilt=30.0)
    shrink = 1 / (np.cos(np.radians(30)) + np.sin(np.radians(30)))
    share = (tilted >= 128).mean() / (upright >= 128).mean()
    assert share == pytest.approx(shrink**2, rel=0.12)


def test_edges_are_smooth():
    _, alpha = render("apple", 0, "red")
    assert len(np.unique(alpha)) >= 4


def test_an_unknown_thing_is_refused_with_the_known_ones():
    with pytest.raises(PromptError, match="unknown thing 'fence'.*house, tree, car"):
        render("fence", 0)


def test_an_unknown_color_is_refused_with_the_known_ones():
    with pytest.raises(PromptError, match="unknown color 'teal'.*red, orange"):
        render("car", 0, "teal")


def test_a_color_that_the_thing_never_has_is_refused():
    with pytest.raises(PromptError, match="'sun' is not drawn in blue; expected one of yellow"):
        render("sun", 0, "blue")
    with pytest.raises(PromptError, match="'cactus' is not drawn in red; expected None"):
        render("cactus", 0, "red")


@pytest.mark.parametrize("side", [0, 7, MAX_SIDE + 1, -4])
def test_a_side_out_of_range_is_refused(side):
    with pytest.raises(InputError, match=f"cannot be drawn at {side} px; expected 8 to"):
        render("car", 0, side=side)


@pytest.mark.parametrize("tilt", [float("nan"), float("inf")])
def test_a_tilt_that_is_no_number_is_refused(tilt):
    with pytest.raises(InputError, match="finite"):
        render("car", 0, tilt=tilt)
