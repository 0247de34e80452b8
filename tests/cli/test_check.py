import json

from ovseg.cli import main


def test_the_report_as_json(capsys, monkeypatch):
    monkeypatch.setenv("HF_TOKEN", "secret")
    assert main(["check", "--json"]) == 0
    text = capsys.readouterr().out
    report = json.loads(text)
    assert report["packages"]["torch"]
    assert report["devices"]["cpu"]["precision"] == "fp32"
    assert report["models"]["maskclip-tiny"].endswith("clip_tiny.safetensors")
    assert report["environment"]["OVSEG_OFFLINE"] == "1"
    assert "secret" not in text


def test_the_report_for_people(capsys):
    assert main(["check"]) == 0
    text = capsys.readouterr().out
    for title in ("packages:", "mmcv:", "devices:", "models:", "cache:", "environment:"):
        assert f"\n{title}" in text


def test_a_broken_torch_does_not_hide_the_rest(capsys, monkeypatch):
    def fail():
        raise OSError("libcudart.so: cannot open")

    monkeypatch.setattr("ovseg.utils.devices.available_devices", fail)
    assert main(["check", "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert "libcudart" in report["devices"]["error"]
    assert report["images"]["codecs"]
