"""Pictures in and out, resizing, colours."""

import re
import struct
import threading
import warnings
import zlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import tifffile
import torch
from PIL import Image, ImageCms, ImageSequence
from torch import Tensor

from nstutils import images
from nstutils.fast.training import Photographs
from nstutils.library import decoding, fetch, files, pictures

RANDOM = np.random.default_rng(0)
COLOURS = RANDOM.integers(0, 256, (24, 36, 3), dtype=np.uint8)
DEEP = RANDOM.integers(0, 65536, (24, 36), dtype=np.uint16)
RGB = Image.fromarray(COLOURS)
ALPHA = Image.fromarray(RANDOM.integers(0, 256, (24, 36), dtype=np.uint8))
UPRIGHT = {  # what the eight orientations make of COLOURS
    1: COLOURS,
    2: COLOURS[:, ::-1],
    3: COLOURS[::-1, ::-1],
    4: COLOURS[::-1],
    5: COLOURS.transpose(1, 0, 2),
    6: np.rot90(COLOURS, -1),
    7: COLOURS[::-1, ::-1].transpose(1, 0, 2),
    8: np.rot90(COLOURS, 1),
}


def tensor(array: np.ndarray | Image.Image) -> Tensor:
    """An array H x W or H x W x 3 in [0, 1], or an RGB picture, as the tensor that `load` should give."""
    array = np.asarray(array) / 255 if isinstance(array, Image.Image) else array
    array = np.repeat(array[..., None], 3, 2) if array.ndim == 2 else array
    return torch.from_numpy(array).float().permute(2, 0, 1)[None]


def assert_loads(path: Path, wanted: Tensor, within: float = 1e-6) -> None:
    """The file gives a contiguous float32 tensor in [0, 1] that is `wanted`."""
    found = images.load(path)
    assert found.dtype == torch.float32
    assert found.is_contiguous()
    assert found.shape == wanted.shape
    assert found.min() >= 0
    assert found.max() <= 1
    assert (found - wanted).abs().max() <= within


def assert_sentence(error: BaseException, *words: str) -> None:
    """The error is one sentence with `words` in it and, after the semicolon, something to do."""
    text = str(error)
    assert "\n" not in text
    assert not re.search(r"[.!?]\s", text), text
    assert ";" in text
    for word in words:
        assert word in text


def on_white(picture: Image.Image, alpha: Image.Image) -> Tensor:
    """`picture` on white, seen through `alpha`."""
    cover = np.asarray(alpha)[..., None] / 255
    return tensor(np.asarray(picture.convert("RGB")) / 255 * cover + 1 - cover)


def png(width: int, height: int, bits: int, kind: int, data: bytes) -> bytes:
    """A PNG file made by hand, of kinds that Pillow does not write."""

    def chunk(name: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))

    head = struct.pack(">IIBBBBB", width, height, bits, kind, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(data)) + chunk(b"IEND", b"")


@pytest.mark.parametrize("suffix", ["png", "tif", "bmp", "ppm", "gif"])
@pytest.mark.parametrize("mode", ["L", "1", "RGB", "P"])
def test_modes_without_transparency_become_rgb(tmp_path: Path, mode: str, suffix: str) -> None:
    picture = RGB.convert(mode)
    if suffix == "ppm":
        picture = picture.convert("RGB")
    picture.save(tmp_path / f"x.{suffix}")
    shown = Image.open(tmp_path / f"x.{suffix}").convert("RGB") if suffix == "gif" else picture.convert("RGB")
    assert_loads(tmp_path / f"x.{suffix}", tensor(shown))


@pytest.mark.parametrize(("mode", "suffix"), [("RGBA", "png"), ("RGBA", "tif"), ("LA", "png"), ("RGBA", "webp")])
def test_transparency_lies_on_white(tmp_path: Path, mode: str, suffix: str) -> None:
    picture = RGB.convert(mode[:-1])
    layered = picture.copy()
    layered.putalpha(ALPHA)
    layered.save(tmp_path / f"x.{suffix}", **({"lossless": True, "exact": True} if suffix == "webp" else {}))
    assert_loads(tmp_path / f"x.{suffix}", on_white(picture, ALPHA), within=1 / 255)


def test_the_transparent_colour_of_a_palette_becomes_white(tmp_path: Path) -> None:
    picture = RGB.quantize(8)
    picture.save(tmp_path / "x.png", transparency=3)
    away = np.asarray(picture) == 3
    assert away.any()
    wanted = np.where(away[..., None], 255, np.asarray(picture.convert("RGB"))) / 255
    assert_loads(tmp_path / "x.png", tensor(wanted))


def test_cmyk_becomes_rgb(tmp_path: Path) -> None:
    Image.new("CMYK", (8, 8), (255, 0, 0, 0)).save(tmp_path / "x.jpg", quality=100)
    assert_loads(tmp_path / "x.jpg", tensor(np.tile([0.0, 1.0, 1.0], (8, 8, 1))), within=0.02)


@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("suffix", ["png", "tif"])
def test_sixteen_bit_grey_keeps_its_depth(tmp_path: Path, suffix: str, dark: bool) -> None:
    values = DEEP // 300 if dark else DEEP
    Image.fromarray(values).save(tmp_path / f"x.{suffix}")
    assert_loads(tmp_path / f"x.{suffix}", tensor(values / 65535))


@pytest.mark.parametrize("suffix", ["png", "tif"])
def test_sixteen_bit_colour_is_read(tmp_path: Path, suffix: str) -> None:
    deep = RANDOM.integers(0, 65536, (24, 36, 3), dtype=np.uint16)
    if suffix == "png":
        rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in deep)
        (tmp_path / "x.png").write_bytes(png(36, 24, 16, 2, rows))
    else:
        tifffile.imwrite(tmp_path / "x.tif", deep, photometric="rgb")
    assert_loads(tmp_path / f"x.{suffix}", tensor(deep / 65535), within=1 / 255)


@pytest.mark.parametrize(
    ("values", "white"),
    [
        ((DEEP / 65535).astype("f4"), 1.0),
        ((DEEP // 257).astype("f4"), 255.0),
        (DEEP.astype("f4"), 65535.0),
        ((DEEP // 257).astype("i4"), 255.0),
        (DEEP.astype("u4") * 65537, 2.0**32 - 1),
    ],
)
def test_float_and_integer_tiffs_have_the_white_that_holds_their_values(
    tmp_path: Path, values: np.ndarray, white: float
) -> None:
    tifffile.imwrite(tmp_path / "x.tif", values)
    assert_loads(tmp_path / "x.tif", tensor(values / white))


def test_a_float_tiff_with_nan_is_refused(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "x.tif", np.full((4, 4), np.nan, "f4"))
    with pytest.raises(ValueError, match="NaN") as caught:
        images.load(tmp_path / "x.tif")
    assert_sentence(caught.value, "x.tif")


@pytest.mark.parametrize("orientation", UPRIGHT)
@pytest.mark.parametrize("suffix", ["png", "tif"])
def test_pictures_stand_as_the_camera_meant_them(tmp_path: Path, orientation: int, suffix: str) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    RGB.save(tmp_path / f"x.{suffix}", exif=exif)
    assert_loads(tmp_path / f"x.{suffix}", tensor(UPRIGHT[orientation] / 255))


@pytest.mark.parametrize("suffix", ["gif", "webp", "png"])
def test_of_an_animation_the_first_frame_is_taken(tmp_path: Path, suffix: str) -> None:
    frames = [Image.new("RGB", (6, 4), colour) for colour in ("red", "green", "blue")]
    options = {"lossless": True} if suffix == "webp" else {}
    frames[0].save(tmp_path / f"x.{suffix}", save_all=True, append_images=frames[1:], **options)
    assert len(list(ImageSequence.Iterator(Image.open(tmp_path / f"x.{suffix}")))) == 3
    assert_loads(tmp_path / f"x.{suffix}", tensor(frames[0]))


@pytest.mark.parametrize(("width", "height"), [(36, 24), (24, 36), (200, 3), (1, 90), (1, 1), (7, 7)])
def test_size_is_the_long_side_and_the_shape_is_kept(tmp_path: Path, width: int, height: int) -> None:
    Image.new("RGB", (width, height), "teal").save(tmp_path / "x.png")
    found = images.load(tmp_path / "x.png", 60)
    assert max(found.shape[-2:]) == 60
    assert abs(found.shape[-1] - width * 60 / max(width, height)) <= 1
    assert abs(found.shape[-2] - height * 60 / max(width, height)) <= 1
    assert (found - torch.tensor([0, 128, 128]).view(1, 3, 1, 1) / 255).abs().max() < 1e-5


def test_a_circle_stays_round(tmp_path: Path) -> None:
    y, x = np.mgrid[:60, :120]
    Image.fromarray((255 * ((x - 60) ** 2 + (y - 30) ** 2 < 400)).astype(np.uint8)).save(tmp_path / "x.png")
    inside = images.load(tmp_path / "x.png", 300)[0, 0] > 0.5
    assert abs(int(inside.any(0).sum()) - int(inside.any(1).sum())) <= 1


@pytest.mark.parametrize("size", [0, -5])
def test_a_size_without_pixels_is_refused(tmp_path: Path, size: int) -> None:
    RGB.save(tmp_path / "x.png")
    with pytest.raises(ValueError, match=f"size is {size}") as caught:
        images.load(tmp_path / "x.png", size)
    assert_sentence(caught.value, "positive")


def damaged(kind: str, suffix: str, folder: Path) -> Path:
    """A picture file that was cut, changed, or never was one."""
    path = folder / f"x.{suffix}"
    RGB.resize((120, 90)).save(path)
    data = path.read_bytes()
    changed = {
        "cut": data[: len(data) * 6 // 10],
        "cut in its header": data[:20],
        "empty": b"",
        "text": b"This is not a picture, and it is long enough to be a header.\n" * 5,
        "a header and rubbish": data[:40] + bytes(range(256)) * 9,
    }
    path.write_bytes(changed[kind])
    return path


@pytest.mark.parametrize("kind", ["cut", "cut in its header", "empty", "text", "a header and rubbish"])
@pytest.mark.parametrize("suffix", ["png", "jpg", "tif", "webp", "bmp"])
def test_a_damaged_file_is_told_in_one_sentence(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], kind: str, suffix: str
) -> None:
    path = damaged(kind, suffix, tmp_path)
    if (kind, suffix) == ("a header and rubbish", "bmp"):
        path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(ValueError, match=re.escape(str(path))) as caught:
        images.load(path)
    assert_sentence(caught.value)
    assert capfd.readouterr().err == ""


def test_whatever_a_reader_of_pillow_raises_becomes_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    RGB.save(tmp_path / "x.png")
    for error in (
        RuntimeError("inside. Very\ndeep."),
        KeyError(3),
        struct.error("unpack"),
        IndexError(),
        SyntaxError("broken"),
    ):
        monkeypatch.setattr(decoding, "from_pil", lambda *_, error=error: (_ for _ in ()).throw(error))
        with pytest.raises(ValueError, match="damaged") as caught:
            images.load(tmp_path / "x.png")
        assert_sentence(caught.value, "replace")


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("nowhere.png", FileNotFoundError),
        ("folder", IsADirectoryError),
        ("", IsADirectoryError),
        ("x" * 300, FileNotFoundError),
        ("~nobody-has-this-name/x.png", FileNotFoundError),
        ("a\0b", FileNotFoundError),
        ("x.png/y.png", FileNotFoundError),
    ],
)
def test_where_no_picture_is_one_sentence_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, kind: type[Exception]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder").mkdir()
    RGB.save("x.png")
    with pytest.raises(kind) as caught:
        images.load(name)
    assert_sentence(caught.value, repr(name), "give")


@pytest.mark.parametrize("pixels", [(60000, 60000), (10000, 10000)])
def test_a_decompression_bomb_is_refused(tmp_path: Path, pixels: tuple[int, int]) -> None:
    (tmp_path / "x.png").write_bytes(png(*pixels, 8, 2, b"\0" * 100))
    with pytest.raises(ValueError, match="too many pixels") as caught:
        images.load(tmp_path / "x.png")
    assert_sentence(caught.value, "scale it down")


def test_a_damaged_note_of_the_camera_is_no_reason_to_speak(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], recwarn: pytest.WarningsRecorder
) -> None:
    RGB.save(tmp_path / "x.png", exif=b"Exif\0\0II*\0\x08\0\0\0\xff\xff\x01")
    assert_loads(tmp_path / "x.png", tensor(RGB))
    assert not recwarn.list
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize("name", sorted(pictures.shipped()))
def test_every_shipped_picture_loads_by_its_name(name: str) -> None:
    found = images.load(name, 16)
    assert max(found.shape[-2:]) == 16
    assert found.std() > 0.01


def test_a_picture_that_was_not_fetched_says_how_to_get_it_and_what_to_take_instead() -> None:
    with pytest.raises(FileNotFoundError) as caught:
        images.load("tubingen")
    assert_sentence(caught.value, "'tubingen'", "`nstutils fetch tubingen`", "'town'")
    assert "town" in pictures.shipped()


@pytest.mark.parametrize("name", sorted(fetch.PICTURES))
def test_what_is_to_be_taken_instead_is_shipped(name: str) -> None:
    with pytest.raises(FileNotFoundError) as caught:
        pictures.find(name)
    assert re.findall(r"'(\w+)' instead", str(caught.value))[0] in pictures.shipped()


def image(height: int = 24, width: int = 36, seed: int = 0) -> Tensor:
    """A random picture."""
    return torch.rand((1, 3, height, width), generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("suffix", [".png", ".tif", ".tiff", ".PNG"])
def test_what_is_saved_without_loss_comes_back(tmp_path: Path, suffix: str) -> None:
    path = images.save(image(), tmp_path / f"x{suffix}")
    assert_loads(path, image(), within=0.5 / 255 + 1e-6)


@pytest.mark.parametrize(("suffix", "kind"), [(".jpg", "JPEG"), (".jpeg", "JPEG"), (".webp", "WEBP"), (".tif", "TIFF")])
def test_the_extension_chooses_the_format(tmp_path: Path, suffix: str, kind: str) -> None:
    smooth = images.resize(image(4, 6), (48, 72))
    path = images.save(smooth, tmp_path / f"x{suffix}")
    with Image.open(path) as file:
        assert file.format == kind
    assert (images.load(path) - smooth).abs().mean() < 0.02


def test_values_outside_are_clipped(tmp_path: Path) -> None:
    wild = torch.tensor([-3.0, 0.25, 7.0, float("inf")]).expand(1, 3, 2, 4)
    found = images.load(images.save(wild, tmp_path / "x.png"))
    assert torch.allclose(found[0, 0, 0], torch.tensor([0.0, 64 / 255, 1.0, 1.0]))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_any_float_type_is_saved(tmp_path: Path, dtype: torch.dtype) -> None:
    found = images.load(images.save(image().to(dtype), tmp_path / "x.png"))
    assert (found - image().to(dtype).float()).abs().max() <= 0.5 / 255 + 1e-6


@pytest.mark.parametrize(
    ("wrong", "word"),
    [
        (torch.full((1, 3, 4, 4), float("nan")), "NaN"),
        (torch.zeros(2, 3, 4, 4), "batch of 2"),
        (torch.zeros(1, 1, 4, 4), "1, 1, 4, 4"),
        (torch.zeros(4, 4), "4, 4"),
    ],
)
def test_what_is_no_picture_is_not_saved(tmp_path: Path, wrong: Tensor, word: str) -> None:
    with pytest.raises(ValueError, match=word) as caught:
        images.save(wrong, tmp_path / "x.png")
    assert_sentence(caught.value)
    assert not list(tmp_path.iterdir())


class Killed(BaseException):
    """As if the process were ended."""


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), KeyboardInterrupt(), Killed()])
@pytest.mark.parametrize("where", ["secrets.token_hex", "Path.write_bytes", "os.close", "os.replace"])
def test_a_save_that_fails_leaves_the_old_file_and_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where: str, error: BaseException
) -> None:
    path = images.save(image(), tmp_path / "x.png")
    before = path.read_bytes()
    holder, name = where.split(".")

    def fail(*args: object, **keywords: object) -> None:
        if name == "write_bytes":
            with open(args[0], "wb") as part:  # type: ignore[call-overload]
                part.write(b"half")
        raise error

    monkeypatch.setattr(getattr(files, holder), name, fail)
    with pytest.raises(type(error)) as caught:
        images.save(image(seed=1), path)
    if isinstance(error, OSError):
        assert_sentence(caught.value, "x.png", "No space left on device", "room")
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_a_new_file_may_be_read_by_whom_the_umask_allows(tmp_path: Path) -> None:
    (tmp_path / "other").touch()
    path = images.save(image(), tmp_path / "x.png")
    assert path.stat().st_mode == (tmp_path / "other").stat().st_mode


def test_missing_folders_are_made(tmp_path: Path) -> None:
    assert images.save(image(), tmp_path / "a" / "b" / "x.png").is_file()


@pytest.mark.parametrize(
    ("name", "kind", "word"),
    [
        ("x.xyz", ValueError, ".png"),
        ("x", ValueError, ".png"),
        ("folder.png", IsADirectoryError, "folder"),
        ("file/x.png", OSError, "cannot write into"),
        ("file/deeper/x.png", OSError, "cannot write into"),
        ("x" * 300 + ".png", OSError, "name too long"),
    ],
)
def test_a_place_that_cannot_be_written_is_told_in_one_sentence(
    tmp_path: Path, name: str, kind: type[Exception], word: str
) -> None:
    (tmp_path / "folder.png").mkdir()
    (tmp_path / "file").touch()
    with pytest.raises(kind, match=word) as caught:
        images.save(image(), tmp_path / name)
    assert_sentence(caught.value)


def test_a_folder_that_may_not_be_written_is_told_in_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(**_: object) -> None:  # root may write anywhere
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(files.tempfile, "TemporaryFile", refused)
    with pytest.raises(PermissionError, match="cannot write into") as caught:
        images.save(image(), tmp_path / "x.png")
    assert_sentence(caught.value, "another place")


def test_a_picture_too_large_for_its_format_is_told_in_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="20000 x 1 pixels cannot be written as WEBP") as caught:
        images.save(torch.zeros(1, 3, 1, 20000), tmp_path / "x.webp")
    assert_sentence(caught.value, "PNG")
    assert not list(tmp_path.iterdir())


FUNCTIONS: dict[str, Callable[[Tensor, Tensor], object]] = {
    "resize": lambda a, b: images.resize(a, 10),
    "resize to the same": lambda a, b: images.resize(a, (24, 36)),
    "cover": lambda a, b: images.cover(a, (30, 7)),
    "luminance": lambda a, b: images.luminance(a),
    "with_luminance_of": images.with_luminance_of,
    "match_colour": images.match_colour,
    "in_grey": lambda a, b: images.in_grey(a, [b]),
    "to_pil": lambda a, b: images.to_pil(a),
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_no_function_changes_its_argument(name: str) -> None:
    a, b = image() * 1.4 - 0.2, image(seed=1) * 1.4 - 0.2
    FUNCTIONS[name](a, b)
    assert torch.equal(a, image() * 1.4 - 0.2)
    assert torch.equal(b, image(seed=1) * 1.4 - 0.2)


@pytest.mark.parametrize("size", [(5, 90), (48, 72), (1, 1), 13])
def test_resize_gives_the_size_asked_for_and_stays_in_range(size: int | tuple[int, int]) -> None:
    hard = (image() > 0.5).float()
    found = images.resize(hard, size)
    assert found.shape[-2:] == (size if isinstance(size, tuple) else (9, 13))
    assert found.min() >= 0
    assert found.max() <= 1


def test_resize_keeps_a_flat_picture_flat_and_the_mean_of_any() -> None:
    assert (images.resize(torch.full((1, 3, 20, 30), 0.3), 7) - 0.3).abs().max() < 1e-6
    smooth = images.resize(image(4, 6), (64, 96))
    assert (images.resize(smooth, 48).mean((2, 3)) - smooth.mean((2, 3))).abs().max() < 2e-3


@pytest.mark.parametrize(
    ("shape", "long", "wanted"), [((30, 60), 20, (10, 20)), ((60, 30), 20, (20, 10)), ((1, 500), 64, (1, 64))]
)
def test_fitted_keeps_the_shape(shape: tuple[int, int], long: int, wanted: tuple[int, int]) -> None:
    assert images.fitted(torch.zeros(1, 3, *shape), long) == wanted


@pytest.mark.parametrize("size", [(24, 36), (30, 30), (7, 200), (200, 7), (480, 480)])
def test_cover_fills_the_size_from_the_middle_without_distortion(size: tuple[int, int]) -> None:
    y = torch.linspace(-1, 1, 240).view(1, 1, 240, 1).expand(1, 1, 240, 360)
    x = torch.linspace(-1.5, 1.5, 360).view(1, 1, 1, 360).expand(1, 1, 240, 360)
    picture = torch.cat([y / 4 + 0.5, x / 4 + 0.5, y * 0], 1)
    found = images.cover(picture, size)
    assert found.shape == (1, 3, *size)
    assert (found[0, :2].mean((1, 2)) - 0.5).abs().max() < 0.02
    down, right = found[0, 0].diff(dim=0).mean(), found[0, 1].diff(dim=1).mean()
    assert abs(down / right - 1) < 0.1


def test_noise_is_uniform_and_one_seed_gives_the_same_pixels() -> None:
    found = images.noise((200, 100), seed=3)
    assert found.shape == (1, 3, 200, 100)
    assert torch.equal(found, images.noise((200, 100), seed=3))
    assert not torch.equal(found, images.noise((200, 100), seed=4))
    assert abs(found.mean() - 0.5) < 0.01
    assert abs(found.std() - 12**-0.5) < 0.01
    assert found.min() >= 0
    assert found.max() <= 1


def test_faint_noise_is_grey_by_one_level_of_255() -> None:
    found = images.faint((200, 100), seed=3)
    assert torch.equal(found, images.faint((200, 100), seed=3))
    assert not torch.equal(found, images.faint((200, 100), seed=4))
    assert abs(found.mean() - 0.5) < 1e-4
    assert abs(found.std() * 255 - 1) < 0.01


def test_noise_leaves_the_global_generator_alone() -> None:
    before = torch.get_rng_state()
    images.noise((4, 4), seed=3)
    assert torch.equal(before, torch.get_rng_state())


def test_stripes_are_black_and_white_and_vertical() -> None:
    found = images.stripes((5, 64), period=16)
    assert found.shape == (1, 3, 5, 64)
    assert torch.equal(found[0, 0, 0, :32], torch.tensor([0.0] * 8 + [1.0] * 8).repeat(2))
    assert bool((found == found[:, :1, :1]).all())
    found[0, 0, 0, 0] = 0.5  # its own memory, not a view of one row
    assert found[0, 0, 1, 0] == 0


def test_luminance_weighs_as_the_eye_does() -> None:
    pure = torch.eye(3).view(1, 3, 1, 3)
    assert torch.allclose(images.luminance(pure).flatten(), torch.tensor([0.299, 0.587, 0.114]))
    assert torch.allclose(images.luminance(torch.full((2, 3, 4, 4), 0.7)), torch.full((2, 1, 4, 4), 0.7))


def test_with_luminance_of_keeps_brightness_and_takes_colours() -> None:
    bright, coloured = image() * 0.2 + 0.4, image(seed=1) * 0.2 + 0.4  # so that nothing is clamped
    found = images.with_luminance_of(bright, coloured)
    assert torch.allclose(images.luminance(found), images.luminance(bright), atol=1e-6)
    hue = coloured - images.luminance(coloured)
    assert torch.allclose(found - images.luminance(found), hue, atol=1e-6)


def test_match_colour_moves_mean_and_covariance() -> None:
    mix = torch.tensor([[0.05, 0.02, 0.0], [0.0, 0.04, -0.03], [0.01, 0.0, 0.03]])
    mean = torch.tensor([0.6, 0.5, 0.4]).view(1, 3, 1, 1)
    target = torch.einsum("ij,njhw->nihw", mix, image(30, 20, seed=1) - 0.5) + mean
    found = images.match_colour(image(), target)
    assert found.dtype == torch.float32
    assert torch.allclose(found.mean((2, 3)), target.mean((2, 3)), atol=1e-5)
    have, want = (torch.cov(picture[0].flatten(1), correction=0) for picture in (found, target))
    assert torch.allclose(have, want, atol=2e-6)
    assert want.abs().max() > 1e-4


def test_match_colour_to_its_own_colours_changes_nothing() -> None:
    assert torch.allclose(images.match_colour(image(), image()), image(), atol=1e-5)


@pytest.mark.parametrize("picture", [image(1, 1), torch.full((1, 3, 5, 5), 0.3), image()[:, :1].expand(-1, 3, -1, -1)])
@pytest.mark.parametrize("other", [image(1, 1, 2), torch.full((1, 3, 5, 5), 0.6), image(8, 8, 2)])
def test_match_colour_bears_pictures_of_one_pixel_one_colour_or_grey(picture: Tensor, other: Tensor) -> None:
    found = images.match_colour(picture, other)
    assert found.shape == picture.shape
    assert bool(found.isfinite().all())
    if picture.flatten(2).std(2, correction=0).max() < 1e-6:
        assert torch.allclose(found.mean((2, 3)), other.mean((2, 3)), atol=1e-4)


def test_in_grey_takes_brightness_alone_and_moves_the_artworks_to_the_photograph() -> None:
    photograph, artwork = image() * 0.2 + 0.5, image(10, 12, seed=1)
    grey, (moved,) = images.in_grey(photograph, [artwork])
    assert grey.shape == photograph.shape
    assert moved.shape == artwork.shape
    assert torch.allclose(grey, images.luminance(photograph).expand_as(grey))
    assert bool((moved == moved[:, :1]).all())
    assert abs(moved.mean() - grey.mean()) < 1e-5
    assert abs(moved[0, 0].std(correction=0) - grey[0, 0].std(correction=0)) < 1e-5


@pytest.mark.parametrize("shape", [(1, 1), (4, 4)])
def test_in_grey_bears_pictures_of_one_pixel_or_one_colour(shape: tuple[int, int]) -> None:
    grey, (moved,) = images.in_grey(image(1, 1), [torch.full((1, 3, *shape), 0.8)])
    assert torch.allclose(moved, grey.mean().expand_as(moved), atol=1e-5)


def adobe_rgb() -> bytes:
    """The profile of a photograph in Adobe RGB."""
    with Image.open(pictures.shipped()["rocket"]) as file:
        return file.info["icc_profile"]


def from_adobe(pixels: np.ndarray) -> np.ndarray:
    """Adobe RGB in [0, 1] as sRGB in [0, 1], by their standards."""
    matrix = np.array([[1.39836, -0.39836, 0], [0, 1, 0], [0, -0.04293, 1.04293]])
    linear = (pixels ** (563 / 256) @ matrix.T).clip(0, 1)
    return np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "P"])
def test_the_colours_of_a_picture_are_those_its_profile_says(mode: str, tmp_path: Path) -> None:
    steps = np.stack(np.meshgrid(*[np.arange(40, 240, 50)] * 3), -1).reshape(8, 8, 3).astype(np.uint8)
    picture = Image.fromarray(steps)
    if mode == "RGBA":
        picture.putalpha(Image.new("L", (8, 8), 51))
    picture = picture.quantize(256) if mode == "P" else picture
    picture.save(tmp_path / "x.png", icc_profile=adobe_rgb())
    wanted = from_adobe(np.asarray(picture.convert("RGB")) / 255)
    wanted = 0.2 * wanted + 0.8 if mode == "RGBA" else wanted
    assert_loads(tmp_path / "x.png", tensor(wanted), 0.02)
    assert (images.load(tmp_path / "x.png") - tensor(np.asarray(picture.convert("RGB")) / 255)).abs().max() > 0.04
    seen = Photographs(tmp_path).open(0)  # in 8 bits
    assert torch.allclose(decoding.from_pil(seen), images.load(tmp_path / "x.png"), atol=0.002)


@pytest.mark.parametrize("profile", [b"no profile", adobe_rgb()[:200], adobe_rgb()[:128] + b"\xff" * 400])
def test_a_damaged_profile_is_ignored(profile: bytes, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    RGB.save(tmp_path / "x.png", icc_profile=profile)
    assert_loads(tmp_path / "x.png", tensor(RGB))
    assert capfd.readouterr().err == ""


def test_a_profile_of_another_kind_of_picture_is_ignored_and_that_of_srgb_changes_nothing(tmp_path: Path) -> None:
    grey = RGB.convert("L")
    grey.save(tmp_path / "grey.png", icc_profile=adobe_rgb())
    assert_loads(tmp_path / "grey.png", tensor(np.asarray(grey) / 255))
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    RGB.save(tmp_path / "x.png", icc_profile=srgb)
    assert_loads(tmp_path / "x.png", tensor(RGB))
    Image.fromarray(DEEP).save(tmp_path / "deep.png", icc_profile=adobe_rgb())
    assert_loads(tmp_path / "deep.png", tensor(DEEP / 65535))


def test_two_threads_that_load_leave_warnings_as_they_were(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    RGB.save(tmp_path / "x.png")
    reading, first_done, real = threading.Barrier(2), threading.Event(), decoding.from_pil

    def crossed(picture: Image.Image, *rest: str) -> Tensor:
        if reading.wait(100):  # both have begun; the one ends before the other
            first_done.wait(100)
        return real(picture, *rest)

    def load(_: int) -> None:
        images.load(tmp_path / "x.png")
        first_done.set()

    images.load(tmp_path / "x.png")
    before = list(warnings.filters)
    monkeypatch.setattr(decoding, "from_pil", crossed)
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(load, range(2)))
    assert warnings.filters == before
    with pytest.warns(UserWarning, match="heard"):
        warnings.warn("heard", stacklevel=1)


def test_writing_never_touches_the_rights_of_other_threads_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.umask", lambda mask: pytest.fail("the umask belongs to the whole process"))
    images.save(images.stripes((8, 8)), tmp_path / "x.png")
