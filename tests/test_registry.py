"""Heads from outside the package: every door to them but mmseg's, and what goes wrong there.

mmseg's doors are in `tests/mm/test_plugins.py`.
"""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

import ovseg
from ovseg.cli import main
from ovseg.errors import ConfigError
from ovseg.heads import Head, MaskClip
from ovseg.masks.proposer import Proposer
from ovseg.pipeline import Pipeline, build_pipeline
from ovseg.plugins import custom_imports, import_plugin
from ovseg.refine import Refiner
from ovseg.registry import HEADS, PROPOSERS, RECIPES, REFINERS, head_methods
from ovseg.scenes.world import SPLITS, draw_scene
from ovseg.segmenter import head_class, route_weights
from ovseg.training.base import Recipe
from ovseg.training.recipes import build_recipe
from ovseg.utils.plain_data import resolve_type
from ovseg.zoo import MODELS, model_entry
from tests.plugin_files import Expected, write_plugin

ROOT = Path(__file__).parents[1]
CLASS_NAMES = "sky, grass, car; automobile, house"


@pytest.fixture(autouse=True)
def _here(tmp_path, monkeypatch):
    """Plug-ins lie in the current folder, which no other test searches."""
    monkeypatch.setattr(sys, "path", sys.path[:])
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def image():
    path = Path("scene.png")
    Image.fromarray(draw_scene(SPLITS["test"][0], (48, 64)).image).save(path)
    return str(path)


@pytest.fixture
def expected(image):
    tiny = build_pipeline(model_entry("maskclip-tiny").spec)
    pipeline = Pipeline(tiny.clip, Expected(), templates="photo", settings=tiny.settings)
    labels = pipeline(np.array(Image.open(image)), CLASS_NAMES).labels
    assert (labels != tiny(np.array(Image.open(image)), CLASS_NAMES).labels).any()
    return labels


def label_map(folder):
    return np.array(Image.open(Path(folder) / "scene.label.png"))


def test_by_an_import_in_python(tmp_path, image, expected):
    plugin = write_plugin(tmp_path, "python")
    import_plugin(plugin.module)
    assert plugin.model in ovseg.list_models("near-*")
    model = ovseg.load(plugin.model, device="cpu")
    assert np.array_equal(model.segment(image, CLASS_NAMES).labels, expected)
    described = model.protocol()["decode_head"]
    assert described == {"type": plugin.head, "reach": 1, "temperature": 20.0}


def test_by_an_option_of_segment(tmp_path, image, expected):
    plugin = write_plugin(tmp_path, "option")
    words = ["segment", image, "-c", CLASS_NAMES, "--device", "cpu"]
    assert main([*words, "--plugin", plugin.module, "-m", plugin.model, "-o", "a"]) == 0
    assert np.array_equal(label_map("a"), expected)
    spec = {**model_entry("maskclip-tiny").spec, "decode_head": {"type": plugin.head}}
    Path("own.json").write_text(json.dumps(spec))
    assert main([*words, "--config", "own.json", "-o", "b"]) == 0
    assert np.array_equal(label_map("b"), expected)


def test_by_the_custom_imports_of_a_trusted_configuration(tmp_path, image, expected, capsys):
    plugin = write_plugin(tmp_path, "trusted")
    config = plugin.config(tmp_path, "ovseg.mm", plugin.module)
    words = [
        "segment",
        image,
        "-c",
        CLASS_NAMES,
        "--config",
        config,
        "--device",
        "cpu",
        "-o",
        "out",
    ]
    assert main(words) == 2
    assert "--trust-python-config" in capsys.readouterr().err
    assert plugin.module not in sys.modules
    assert main([*words, "--trust-python-config"]) == 0
    assert np.array_equal(label_map("out"), expected)


@pytest.mark.slow
def test_by_an_entry_point_of_an_installed_distribution(tmp_path):
    plugin = write_plugin(tmp_path, "installed")
    (tmp_path / "near_broken.py").write_text("import nothing_of_this_name\n")
    for name in (plugin.module, "near_broken"):
        folder = tmp_path / f"{name}-1.0.dist-info"
        folder.mkdir()
        (folder / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        (folder / "entry_points.txt").write_text(f"[ovseg.plugins]\n{name} = {name}\n")
    script = f"""if True:
        import sys, ovseg
        from ovseg.registry import HEADS
        assert {plugin.module!r} not in sys.modules
        assert ovseg.list_models("near-*") == [{plugin.model!r}]
        print(HEADS[{plugin.head!r}].__name__)
    """
    environment = {**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{tmp_path}"}
    done = subprocess.run(
        [sys.executable, "-c", script], env=environment, capture_output=True, text=True
    )
    assert done.stdout.strip() == plugin.head.removesuffix("Head"), done.stderr
    assert re.search(
        r"left out: plug-in near_broken, .*near_broken.py:1: cannot be imported: "
        "ModuleNotFoundError: No module named 'nothing_of_this_name'",
        done.stderr,
    )
    assert done.stderr.count("left out") == 1


@pytest.mark.slow
def test_a_head_inside_the_package_is_its_file_and_a_zoo_entry(tmp_path):
    """A copy of the package with two more files: nothing names them, and all know them."""
    package = tmp_path / "ovseg"
    for folder in (package, package / "heads", package / "zoo"):
        folder.mkdir()
        for path in (ROOT / folder.relative_to(tmp_path)).iterdir():
            if path.name not in ("heads", "zoo", "__pycache__"):
                (folder / path.name).symlink_to(path)
    (package / "heads" / "nearby.py").write_text(
        "from ovseg.heads.base import WindowHead\n"
        "from ovseg.registry import register_head\n\n"
        '@register_head("NearbyHead")\n'
        "class Nearby(WindowHead):\n"
        "    def patch_features(self, clip, backbone_tokens):\n"
        '        return clip.dense_features(backbone_tokens, "value").features\n'
    )
    (package / "zoo" / "nearby.py").write_text(
        "from ovseg.zoo.entry import ModelEntry\n"
        "from ovseg.zoo.maskclip import ENTRIES as MASKCLIP\n\n"
        'spec = {**MASKCLIP[0].spec, "decode_head": {"type": "NearbyHead"}}\n'
        'ENTRIES = (ModelEntry("nearby-tiny", "Nearby", "a test", MASKCLIP[0].weights, spec),)\n'
    )
    script = """if True:
        import ovseg
        assert "nearby-tiny" in ovseg.list_models()
        print(ovseg.load("nearby-tiny", device="cpu").protocol()["decode_head"]["type"])
        import ovseg.mm
        from mmseg.registry import MODELS
        from ovseg.datasets import find_benchmark
        from ovseg.heads import Nearby
        assert MODELS.get("NearbyHead") is ovseg.mm.NearbyHead
        assert ovseg.mm.NearbyHead.core_type is Nearby
        assert "NearbyHead" in ovseg.mm.__all__
        assert find_benchmark("voc21").vocabulary("nearby") == "voc21"
    """
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-c", script], env=environment, capture_output=True, text=True
    )
    assert done.stdout.strip() == "NearbyHead", done.stderr


def test_what_the_package_has():
    heads = ["ClipDinoiserHead", "DeClipHead", "MaskAdaptedClipHead", "MaskClipHead", "TridentHead"]
    own = {name for name, cls in HEADS.items() if cls.__module__.startswith("ovseg.")}
    assert sorted(own) == heads
    assert {"PamrRefiner", "SamRefiner"} <= REFINERS.keys()
    assert {
        "ComponentProposer",
        "PrecomputedMaskProposer",
        "MaskFormerProposer",
        "SamProposer",
    } <= set(PROPOSERS)
    assert {"DeclipRecipe", "DinoiserRecipe"} <= RECIPES.keys()
    methods = {"clip_dinoiser", "declip", "mask_adapted", "maskclip", "trident"}
    assert methods <= set(head_methods())
    assert HEADS["MaskClipHead"] is MaskClip
    with pytest.raises(AttributeError, match="no attribute 'MaskClop'"):
        ovseg.heads.MaskClop  # noqa: B018


def test_a_lazy_head_needs_one_method():
    clip = build_pipeline(model_entry("maskclip-tiny").spec).clip
    backbone_tokens = clip.run_backbone(torch.rand(1, 3, 32, 48))
    text = torch.nn.functional.normalize(torch.randn(3, clip.embed_dim), dim=1)
    head = Expected()
    features = torch.nn.functional.normalize(head.patch_features(clip, backbone_tokens), dim=1)
    cosines = (features * text[:, :, None, None]).sum(1)
    scores = head.patch_scores(clip, backbone_tokens, text)
    assert torch.allclose(scores[0], cosines, atol=1e-6)
    head.score_type = "probs"
    probs = head.patch_scores(clip, backbone_tokens, text)
    assert torch.allclose(probs[0], (20 * cosines).softmax(0), atol=1e-6)


HEADER = "import ovseg, torch\nfrom ovseg.heads import Head, WindowHead\n"
LACKING = '@ovseg.register_head("LackingHead")\nclass Lacking(WindowHead):\n    pass\n'
CONSTANT = (
    '@ovseg.register_head("WrongHead")\nclass Wrong(WindowHead):\n'
    "    def patch_features(self, clip):\n        return 0\n"
)
FOREIGN = '@ovseg.register_head("AnyHead")\nclass Any(torch.nn.Module):\n    pass\n'
TAKEN = (
    '@ovseg.register_head("MaskClipHead")\nclass Mine(WindowHead):\n'
    "    def patch_features(self, clip, backbone_tokens):\n        return 0\n"
)


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("x = 1\nimport nothing_here\n", r"wrong.py:2: .*No module named 'nothing_here'"),
        ("x = 1\n\n1 / 0\n", r"wrong.py:3: cannot be imported: ZeroDivisionError: division by"),
        ("x = 1\ndef f(:\n", r"wrong.py:2: cannot be imported: SyntaxError"),
        ("raise SystemExit(3)\n", r"wrong.py:1: cannot be imported: SystemExit: 3"),
        ("import numpy\nnumpy.array([1], dtype='no')", r"wrong.py:2: .*TypeError: data type 'no'"),
        (
            HEADER + LACKING,
            r"wrong.py:3: .*wrong\.Lacking lacks the method patch_features; expected patch_features"
            r"\(self, clip: ClipEncoder, backbone_tokens: BackboneTokens\) -> Tensor: Return "
            r"features \(B, E, h, w\)",
        ),
        (
            HEADER + CONSTANT,
            r"wrong\.Wrong has a method patch_features\(self, clip\); expected patch_features\(self"
            ", clip: ClipEncoder, backbone_tokens: BackboneTokens",
        ),
        (HEADER + FOREIGN, r"wrong\.Any is no head; expected a class that derives from ovseg\."),
        (
            HEADER + TAKEN,
            r"wrong.py:3: .*'MaskClipHead' is registered twice: by ovseg\.heads\.maskclip\.MaskClip"
            r" and by wrong\.Mine; to fix: choose another name",
        ),
        (HEADER + TAKEN.replace("MaskClipHead", "Mine"), r"'Mine' is no name of a head; expected"),
        (HEADER + "@ovseg.register_head\nclass A: pass\n", r'expected @register_head\("MyHead"\)'),
    ],
)
def test_a_plugin_that_cannot_be_used(tmp_path, capsys, source, message):
    (tmp_path / "wrong.py").write_text(source)
    assert main(["models", "--plugin", "wrong"]) == 2
    assert re.search(r"ovseg: error: plug-in wrong, .*" + message, capsys.readouterr().err)
    assert "wrong" not in sys.modules
    assert not {"LackingHead", "WrongHead", "AnyHead", "Mine"} & HEADS.keys()


@pytest.mark.parametrize("verb", ["segment x -c a", "test x.py", "train x.py", "models"])
def test_every_verb_says_which_plugin_is_absent(tmp_path, capsys, verb):
    assert main([*verb.split(), "--plugin", "not_there"]) == 2
    message = "plug-in not_there: no module not_there; expected one that is installed, or that lies"
    assert f"{message} in {tmp_path}" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["my_head.py", "./my_head", "", "a..b"])
def test_a_file_is_no_name_of_a_module(name):
    with pytest.raises(ConfigError, match="no name of a module"):
        import_plugin(name)


def test_check_tells_what_became_of_plugins(tmp_path, capsys):
    plugin = write_plugin(tmp_path, "check")
    assert main(["check", "--plugin", plugin.module, "--plugin", "not_there"]) == 0
    report = capsys.readouterr().out
    assert f"{plugin.module}: loaded" in report
    assert "not_there: plug-in not_there: no module not_there" in report


def test_models_shows_those_of_plugins(tmp_path, capsys):
    plugin = write_plugin(tmp_path, "listed")
    assert main(["models", plugin.model, "--plugin", plugin.module]) == 0
    assert "a head from outside the package" in capsys.readouterr().out


def test_two_plugins_with_one_name(tmp_path):
    first = write_plugin(tmp_path, "twice")
    (tmp_path / "again.py").write_text((tmp_path / f"{first.module}.py").read_text())
    import_plugin(first.module)
    with pytest.raises(ConfigError, match=r"by near_twice\.NearTwice and by again\.NearTwice"):
        import_plugin("again")


def test_a_class_takes_the_place_of_its_former_self():
    for value in (1, 2):

        @ovseg.register_head("RepeatedHead")
        class Repeated(Expected):
            reach = value

    assert HEADS["RepeatedHead"] is Repeated


def test_every_kind_is_checked_by_its_own_base():
    with pytest.raises(ConfigError, match="derives from ovseg.refine.base.Refiner"):

        @ovseg.register_refiner("OddRefiner")
        class Odd(nn.Module):
            pass

    with pytest.raises(ConfigError, match=r"has a method refine\(self, image, decoded, maps\)"):

        @ovseg.register_refiner("NarrowRefiner")
        class Narrow(Refiner):
            def refine(self, image, decoded, maps):
                return decoded

    with pytest.raises(ConfigError, match="lacks the method propose"):

        @ovseg.register_proposer("IdleProposer")
        class Idle(Proposer):
            pass

    with pytest.raises(ConfigError, match="'Lesson' is no name of a recipe"):
        ovseg.register_recipe("Lesson")


def test_a_recipe_of_ones_own():
    @ovseg.register_recipe("PatientRecipe")
    class Patient(Recipe):
        def __init__(self, pace: int) -> None:
            self.pace = pace

        def prepare(self, clip, head):
            pass

        def losses(self, clip, head, images, samples=()):
            return {}

    assert build_recipe({"type": "PatientRecipe", "pace": 3}).pace == 3


def test_listeners_hear_of_all_that_comes():
    heard = {}
    HEADS.subscribe(heard.__setitem__)

    @ovseg.register_head("LaterHead")
    class Later(Expected):
        pass

    assert heard.keys() == HEADS.keys()
    assert heard["LaterHead"] is Later


def test_an_argument_that_is_not_kept_is_said_before_the_weights_are_read():
    @ovseg.register_head("ForgetfulHead")
    class Forgetful(Expected):
        def __init__(self, reach: int = 1) -> None:
            super().__init__()

    backbone = {"type": "ClipBackbone", "model": "ViT-B-16", "pretrained": "nowhere.pt"}
    with pytest.raises(ConfigError, match=r"Forgetful does not keep its argument 'reach'"):
        build_pipeline({"backbone": backbone, "decode_head": {"type": "ForgetfulHead"}})


def test_an_unknown_type_is_told_where_others_come_from():
    with pytest.raises(ConfigError, match=r"'MaskClpHead'.*did you mean 'MaskClipHead'.*--plugin"):
        resolve_type({"type": "MaskClpHead"}, HEADS, "decode_head")


def test_a_head_tells_which_part_a_file_is_for(tmp_path):
    @ovseg.register_head("LearnedHead")
    class Learned(Expected):
        @classmethod
        def route_weights(cls, spec, path):
            spec["decode_head"]["pretrained"] = path.name

    spec = {"backbone": {"tuned": "b"}, "decode_head": {"type": "LearnedHead"}}
    route_weights(spec, tmp_path / "a.pt")
    assert spec["decode_head"]["pretrained"] == "a.pt"
    spec["decode_head"] = {"type": "MaskClipHead"}
    route_weights(spec, tmp_path / "a.pt")
    assert spec["backbone"] == {"pretrained": str(tmp_path / "a.pt")}
    assert not Head.needs_a_file(spec)
    spec["decode_head"] = {"proposer": {"pretrained": "manual:a.pt"}}
    assert Head.needs_a_file(spec)
    assert head_class({"decode_head": [{"type": "FCNHead"}]}) is Head
    assert head_class({"decode_head": {"type": "mmseg.MaskClipHead"}}) is MaskClip


def test_a_model_keeps_its_name():
    tiny = MODELS["maskclip-tiny"]
    assert ovseg.register_model(tiny) is tiny
    other = type(tiny)("maskclip-tiny", "Mine", "another one", (), {})
    with pytest.raises(ConfigError, match="'maskclip-tiny' stands for another model"):
        ovseg.register_model(other)
    with pytest.raises(ConfigError, match="is no model"):
        ovseg.register_model("maskclip-tiny")


@pytest.mark.parametrize("asked", [["a"], {"import": "a"}, {"imports": [1]}, "a"])
def test_custom_imports_of_another_form(asked):
    with pytest.raises(ConfigError, match="custom_imports"):
        custom_imports({"custom_imports": asked})


def test_custom_imports_as_mmengine_has_them():
    assert custom_imports({}) == custom_imports({"custom_imports": None}) == ()
    assert custom_imports({"custom_imports": {"imports": "a.b"}}) == ("a.b",)
    asked = {"imports": ["a", "b"], "allow_failed_imports": False}
    assert custom_imports({"custom_imports": asked}) == ("a", "b")
