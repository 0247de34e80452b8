"""What `import ovseg` promises: names, silence, and no heavy imports."""

import json
import subprocess
import sys

import ovseg

PUBLIC = [
    "CheckpointError",
    "ConfigError",
    "DatasetError",
    "InputError",
    "OvsegError",
    "PromptError",
    "RuntimeLimitError",
    "Segmentation",
    "Segmenter",
    "Vocabulary",
    "__version__",
    "list_models",
    "load",
    "register_head",
    "register_model",
    "register_proposer",
    "register_recipe",
    "register_refiner",
]
HEAVY = ("torch", "numpy", "cv2", "PIL", "mmengine", "mmseg", "mmcv", "open_clip", "timm", "tqdm")
SCRIPT = """
import contextlib, io, json, sys
import ovseg
from ovseg.cli import main
steps = {{}}
def note(name):
    steps[name] = [m for m in {heavy!r} if m in sys.modules]
note("import ovseg")
ovseg.list_models("*")
note("list_models")
with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
    for line in ("--help", "--version", "models", "models --json", "nonsense", "segment",
                 "segment --help", "scenes --help", "demo --help", "check --help"):
        main(line.split())
        note("ovseg " + line)
    ovseg.Vocabulary
    note("Vocabulary")
    main(["segment", "a.jpg", "-c", "sky", "-m", "maskclip-tinny"])
    note("an unknown model")
print(json.dumps(steps))
"""


def test_the_public_names_are_these():
    assert sorted(ovseg.__all__) == PUBLIC
    assert set(PUBLIC) <= set(dir(ovseg))
    for name in PUBLIC:
        assert getattr(ovseg, name) is not None


def test_an_unknown_name_is_an_attribute_error():
    assert not hasattr(ovseg, "segmnet")


def test_light_things_import_nothing_heavy_and_say_nothing():
    done = subprocess.run(
        [sys.executable, "-W", "always", "-c", SCRIPT.format(heavy=HEAVY)],
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    assert done.stderr == ""
    assert {step: found for step, found in json.loads(done.stdout).items() if found} == {}
