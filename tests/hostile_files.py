"""Files of weights as somebody would craft them who means harm; written opcode by opcode."""

from __future__ import annotations

import json
import pickle
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path

import torch

MAGIC = 0x1950A86A20F9469CFC6C
NONE, TRUE, FALSE = b"N", b"\x88", b"\x89"


def text(value: str) -> bytes:
    data = value.encode()
    return b"X" + struct.pack("<I", len(data)) + data


def raw(value: bytes) -> bytes:
    return b"B" + struct.pack("<I", len(value)) + value


def integer(value: int) -> bytes:
    if -(1 << 31) <= value < 1 << 31:
        return b"J" + struct.pack("<i", value)
    data = value.to_bytes(value.bit_length() // 8 + 1, "little", signed=True)
    return b"\x8a" + bytes([len(data)]) + data


def name(full: str) -> bytes:
    module, _, last = full.rpartition(".")
    return f"c{module}\n{last}\n".encode()


def tuple_of(*items: bytes) -> bytes:
    return b"(" + b"".join(items) + b"t"


def numbers(*values: int) -> bytes:
    return tuple_of(*map(integer, values))


def call(function: str | bytes, *args: bytes) -> bytes:
    return (name(function) if isinstance(function, str) else function) + tuple_of(*args) + b"R"


def entry(value: bytes, key: bytes | None = None) -> bytes:
    """A pickle of {"model": {"w": value}}."""
    return b"\x80\x03}" + text("model") + b"}" + (key or text("w")) + value + b"ss."


ARRAY = "numpy.ndarray"
DTYPE = "numpy.dtype"
SHELL = "numpy._core.multiarray._reconstruct"
SCALAR = "numpy._core.multiarray.scalar"
POINTER = b"A" * 8


def dtype(code: str, state: bytes | None = None) -> bytes:
    made = call(DTYPE, text(code), FALSE, TRUE)
    return made if state is None else made + state + b"b"


def dtype_state(names: bytes = NONE, fields: bytes = NONE, sub: bytes = NONE, size=-1, flags=0):
    return tuple_of(
        integer(3), text("|"), sub, names, fields, integer(size), integer(1), integer(flags)
    )


OBJECT = dtype("O8", dtype_state(size=-1, flags=63))


def array(kind: bytes, shape: tuple[int, ...], data: bytes) -> bytes:
    shell = call(SHELL, name(ARRAY), numbers(0), raw(b"b"))
    return shell + tuple_of(integer(1), numbers(*shape), kind, FALSE, data) + b"b"


def structure(offset: int = 0) -> bytes:
    """A void type with an object in it, whose flags deny the object."""
    fields = b"}" + text("f") + tuple_of(OBJECT, integer(offset)) + b"s"
    return dtype("V8", dtype_state(tuple_of(text("f")), fields, size=8))


def deep_calls(count: int) -> bytes:
    value = raw(b"a" * 64)
    for _ in range(count):
        value = call("_codecs.encode", value, text("hex"))
    return value


def copies(count: int, size: int) -> bytes:
    """One long text, and many calls that each make bytes of it."""
    first = text("a" * size) + b"q\x00"
    again = name("_codecs.encode") + tuple_of(b"h\x00", text("latin1")) + b"R"
    return tuple_of(first, *[again] * count)


def doubled(levels: int) -> bytes:
    """A list that holds the one before it twice, and so on: 2 to the power of `levels` leaves."""
    steps = [b"\x80\x03]q\x00"]
    for level in range(1, levels):
        before = b"h" + bytes([level - 1])
        steps.append(b"](" + before + before + b"e" + b"q" + bytes([level]))
    return b"".join(steps) + b"."


PICKLES: dict[str, bytes] = {
    "pointer_as_object": entry(call(ARRAY, numbers(1), dtype("O8"), raw(POINTER))),
    "object_over_bytes": entry(array(OBJECT, (1,), raw(POINTER))),
    "object_list": entry(array(OBJECT, (1,), b"]" + text("hello") + b"a")),
    "structure_denies_object": entry(array(structure(), (1,), raw(POINTER))),
    "field_behind_the_buffer": entry(array(structure(1 << 30), (1,), raw(POINTER))),
    "structure_as_scalar": entry(call(SCALAR, structure(), raw(POINTER))),
    "object_as_scalar": entry(call(SCALAR, OBJECT, raw(POINTER))),
    "sub_array": entry(
        array(dtype("V8", dtype_state(sub=tuple_of(OBJECT, numbers(1)))), (1,), raw(POINTER))
    ),
    "items_larger_than_they_are": entry(
        array(dtype("V1", dtype_state(size=1 << 20)), (1,), raw(b"A"))
    ),
    "strings": entry(array(dtype("U4"), (2,), raw(b"\0" * 32))),
    "byte_strings": entry(array(dtype("S4"), (2,), raw(b"\0" * 8))),
    "dates": entry(array(dtype("M8[s]"), (2,), raw(b"\0" * 16))),
    "structured_by_text": entry(array(dtype("f4,f4"), (2,), raw(b"\0" * 16))),
    "long_double": entry(array(dtype("f16"), (1,), raw(b"\0" * 16))),
    "array_called": entry(call(ARRAY, numbers(2), text("u1"))),
    "array_of_8_GB": entry(call(ARRAY, numbers(8 << 30), text("u1"))),
    "shape_without_bytes": entry(array(dtype("f8"), (1 << 40, 1 << 40), raw(b""))),
    "shape_below_zero": entry(array(dtype("f8"), (-1,), raw(b""))),
    "shape_too_large": entry(array(dtype("u1"), (9,), raw(POINTER))),
    "array_without_state": entry(call(SHELL, name(ARRAY), numbers(0), raw(b"b"))),
    "subclass_of_array": entry(call(SHELL, name("numpy.matrix"), numbers(0), raw(b"b"))),
    "bool_of_other_bytes": entry(array(dtype("b1"), (8,), raw(POINTER))),
    "system": entry(call("posix.system", text("touch CANARY"))),
    "system_by_stack": b"\x80\x04}"
    + text("a")
    + text("posix")
    + text("system")
    + b"\x93"
    + tuple_of(text("touch CANARY"))
    + b"Rs.",
    "system_by_instance": b"\x80\x02(S'touch CANARY'\niposix\nsystem\n.",
    "system_by_object": b"\x80\x02(" + name("posix.system") + text("touch CANARY") + b"o.",
    "new_of_a_class": entry(name("subprocess.Popen") + tuple_of(text("touch CANARY")) + b"\x81"),
    "getattr": entry(call("builtins.getattr", name(ARRAY), text("__class__"))),
    "getattr_of_history": entry(
        call(
            "builtins.getattr",
            name("mmengine.logging.history_buffer.HistoryBuffer"),
            text("__init__"),
        )
    ),
    "dotted_name": b"\x80\x04}" + text("a") + text("numpy") + text("ndarray.__class__") + b"\x93s.",
    "state_for_a_class": entry(name(ARRAY) + b"}" + text("__reduce__") + NONE + b"sb"),
    "state_for_a_function": entry(name("_codecs.encode") + b"}" + text("x") + NONE + b"sb"),
    "class_as_value": entry(name("collections.OrderedDict")),
    "hex_bomb": entry(deep_calls(26)),
    "copies_bomb": entry(copies(20_000, 100_000)),
    "codec_by_path": entry(call("_codecs.encode", text("a"), text("../../x"))),
    "many_lists": b"\x80\x03(" + b"]" * 3_000_000 + b"l.",
    "deep_lists": b"\x80\x03" + b"]" * 200_000 + b"a" * 199_999 + b".",
    "deep_tuples": b"\x80\x03N" + b"\x85" * 2_000_000 + b".",
    "deep_key": b"\x80\x03}" + NONE + b"\x85" * 1_000_000 + NONE + b"s.",
    "references_doubled": doubled(64),
    "contains_itself": b"\x80\x03}q\x00" + text("model") + b"h\x00s.",
    "memo_bomb": b"\x80\x02Nr\xff\xff\xff\x7f.",
    "text_bomb": b"\x80\x04\x8d" + (1 << 62).to_bytes(8, "little") + b"a.",
    "bytearray_bomb": b"\x80\x05\x96" + (1 << 35).to_bytes(8, "little") + b"a.",
    "frame_bomb": b"\x80\x04\x95" + b"\xff" * 8 + b".",
    "integer_bomb": b"\x80\x02\x8b\xff\xff\xff\x7f",
    "extension": b"\x80\x02\x82\x01.",
    "persistent_text": b"\x80\x02Phello\n.",
    "buffers": b"\x80\x05\x97.",
    "integer_keys": b"\x80\x03}" + integer(3) + array(dtype("f4"), (1,), raw(b"\0" * 4)) + b"s.",
    "list_as_key": b"\x80\x03}]Ns.",
    "model_is_a_number": b"\x80\x03}" + text("model") + integer(3) + b"s.",
}


def storage(kind: str = "Float", key: str = "0", count: int = 4) -> bytes:
    return (
        tuple_of(
            text("storage"), name(f"torch.{kind}Storage"), text(key), text("cpu"), integer(count)
        )
        + b"Q"
    )


def tensor(
    size: tuple[int, ...], stride: tuple[int, ...], offset: int = 0, source: bytes | None = None
) -> bytes:
    return call(
        "torch._utils._rebuild_tensor_v2",
        storage() if source is None else source,
        integer(offset),
        numbers(*size),
        numbers(*stride),
        FALSE,
        call("collections.OrderedDict"),
    )


def content(value: bytes) -> bytes:
    return b"\x80\x02}" + text("w") + value + b"s."


GOOD = content(tensor((2, 2), (2, 1)))

ARCHIVES: dict[str, bytes] = {
    "stride_0_of_a_terabyte": content(tensor((1 << 40,), (0,))),
    "stride_0_of_8_GB": content(tensor((8 << 30,), (0,))),
    "too_many_numbers": content(tensor((1 << 47, 1 << 47), (0, 0))),
    "offset_behind": content(tensor((2,), (1,), 1 << 40)),
    "offset_before": content(tensor((2,), (1,), -8)),
    "stride_below_zero": content(tensor((2,), (-1,), 1)),
    "size_below_zero": content(tensor((-1,), (1,))),
    "size_behind": content(tensor((1000,), (1,))),
    "storage_lies": content(tensor((1000,), (1,), source=storage(count=1000))),
    "storage_by_path": content(tensor((2,), (1,), source=storage(key="../../etc/passwd"))),
    "storage_of_two_kinds": b"\x80\x02}"
    + text("w")
    + tensor((2,), (1,))
    + b"s"
    + text("v")
    + tensor((2,), (1,), source=storage("Half"))
    + b"s.",
    "quantized": content(call("torch._utils._rebuild_qtensor", storage("QUInt8"))),
    "nested": content(call("torch._utils._rebuild_nested_tensor", tensor((4,), (1,)))),
    "meta": content(call("torch._utils._rebuild_meta_tensor_no_storage", name("torch.float32"))),
    "load_inside": content(call("torch.load", text("other.pkl"))),
    "hub": content(call("torch.hub.load", text("a"))),
    "eval": content(call("__builtin__.eval", text("open('CANARY', 'w')"))),
    "array_in_archive": content(call(ARRAY, numbers(1), text("O8"), raw(POINTER))),
    "no_pickle": b"",
}


def archive(path: Path, pickled: bytes, how: int = zipfile.ZIP_STORED, **more: bytes) -> None:
    with zipfile.ZipFile(path, "w", how) as target:
        target.writestr("archive/data.pkl", pickled)
        target.writestr("archive/data/0", more.pop("numbers", b"\0" * 16))
        target.writestr("archive/version", "3\n")
        for inner, data in more.items():
            target.writestr(inner, data)


def write_archives(folder: Path) -> None:
    for title, pickled in ARCHIVES.items():
        archive(folder / f"{title}.pt", pickled)
    evil = content(call("posix.system", text("touch CANARY")))
    archive(folder / "two_pickles.pt", GOOD, **{"archive/data.pkl": evil})
    archive(folder / "leaves_its_folder.pt", GOOD, **{"../../evil": b"x"})
    archive(folder / "leaves_by_backslash.pt", GOOD, **{"..\\..\\evil": b"x"})
    archive(folder / "compressed_bomb.pt", GOOD, zipfile.ZIP_DEFLATED, numbers=b"\0" * (1 << 28))
    archive(
        folder / "pickle_bomb.pt", b"\x80\x02" + b"N0" * (1 << 26) + b"}.", zipfile.ZIP_DEFLATED
    )
    archive(folder / "inner.pt", GOOD)
    inner = (folder / "inner.pt").read_bytes()
    archive(folder / "zip_in_zip.pt", GOOD, **{"archive/data/1": inner})
    (folder / "pickle_before_zip.pt").write_bytes(evil + inner)


def write_chains(folder: Path) -> None:
    evil = content(call("posix.system", text("touch CANARY")))
    start = pickle.dumps(MAGIC, 2) + pickle.dumps(1001, 2)
    about = pickle.dumps({"little_endian": True}, 2)
    (folder / "chain_evil.pt").write_bytes(start + about + evil + pickle.dumps([], 2))
    (folder / "chain_evil_about.pt").write_bytes(start + evil)
    (folder / "chain_unknown_storage.pt").write_bytes(
        start + about + content(tensor((2,), (1,))) + pickle.dumps(["5"], 2)
    )
    (folder / "chain_no_numbers.pt").write_bytes(
        start + about + content(tensor((2,), (1,))) + pickle.dumps(["0"], 2)
    )


def safetensors(path: Path, header: object, body: bytes = b"\0" * 16) -> None:
    data = header if isinstance(header, bytes) else json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(data)) + data + body)


def write_safetensors(folder: Path) -> None:
    whole = {"dtype": "F32", "shape": [2, 2], "data_offsets": [0, 16]}
    headers: dict[str, object] = {
        "overlap": {"w": whole, "v": whole},
        "huge_shape": {"w": whole | {"shape": [1 << 62, 4]}},
        "shape_below_zero": {"w": whole | {"shape": [-2, -2]}},
        "offsets_as_text": {"w": whole | {"data_offsets": ["0", "16"]}},
        "deep": b'{"a":' * 5000 + b"1" + b"}" * 5000,
        "no_text": b'{"\xff": 1}',
        "half_a_character": b'{"\\ud800": ' + json.dumps(whole).encode() + b"}",
        "bad_notes": {"__metadata__": {"a": 3}, "w": whole},
        "unknown_type": {"w": whole | {"dtype": "XX"}},
        "many_axes": {"w": {"dtype": "F32", "shape": [1] * 5000, "data_offsets": [0, 4]}},
    }
    for title, header in headers.items():
        safetensors(folder / f"st_{title}.safetensors", header)
    (folder / "st_endless.safetensors").write_bytes(b"\xff" * 8 + b"{}")


class Evil(torch.nn.Module):
    """Its TorchScript writes a file while it is loaded."""

    def __init__(self) -> None:
        super().__init__()
        self.w = torch.nn.Parameter(torch.zeros(2, 2))

    @torch.jit.export
    def __getstate__(self) -> tuple[torch.Tensor, bool]:
        return (self.w, self.training)

    @torch.jit.export
    def __setstate__(self, state: tuple[torch.Tensor, bool]) -> None:
        self.w = state[0]
        self.training = state[1]
        target = torch.from_file("CANARY", True, 4, dtype=torch.uint8)
        target.copy_(torch.tensor([101, 118, 105, 108], dtype=torch.uint8))
        print(target.sum())  # what has no effect that TorchScript knows would be left out

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x


def shared_modules(levels: int) -> bytes:
    """Modules that hold the next one twice: 2 to the power of `levels` paths."""
    steps = [name("__torch__.M") + b")\x81}b" + b"q\x00"]
    for level in range(1, levels):
        inner = b"h" + bytes([level - 1])
        steps.append(
            name("__torch__.M")
            + b")\x81}"
            + text("a")
            + inner
            + b"s"
            + text("b")
            + inner
            + b"sbq"
            + bytes([level])
        )
    return b"\x80\x02" + b"".join(steps) + b"."


def write_torchscripts(folder: Path) -> None:
    unclosed = b"class M(Module):\n" + b"  __parameters__ = [\n" * 200_000
    for title, pickled, code in (
        ("modules_without_end", shared_modules(30), b"class M(Module):\n  pass\n"),
        ("lists_without_end", shared_modules(2), unclosed),
    ):
        with zipfile.ZipFile(folder / f"{title}.pt", "w") as archive:
            archive.writestr("archive/data.pkl", pickled)
            archive.writestr("archive/code/__torch__.py", code)
            archive.writestr("archive/constants.pkl", b"\x80\x02).")


def write_torchscript(folder: Path) -> None:
    torch.jit.script(Evil()).save(str(folder / "torchscript_with_setstate.pt"))


def write_all(folder: Path) -> list[Path]:
    """Write the whole corpus; return its files."""
    for title, pickled in PICKLES.items():
        (folder / f"{title}.pkl").write_bytes(pickled)
    writers: tuple[Callable[[Path], None], ...] = (
        write_archives,
        write_chains,
        write_safetensors,
        write_torchscript,
        write_torchscripts,
    )
    for write in writers:
        write(folder)
    return sorted(path for path in folder.iterdir() if path.is_file())
