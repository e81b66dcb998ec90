"""Reading pictures and videos that somebody sent: what comes of good ones, and what is refused."""

import io
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from palace import pictures
from palace.pictures import NotAPicture, of_image, of_video
from tests.media import jpeg, video

NOT_A_PICTURE = "This is not a picture: a JPEG, PNG or WebP file is needed."
NOT_A_VIDEO = "This is not a video: an MP4, MOV or WebM file is needed."
UNREADABLE = "This is not a video that can be read: an MP4, MOV or WebM file is needed."


def opened(made: bytes) -> Image.Image:
    return Image.open(io.BytesIO(made), formats=("JPEG",))


def png(picture: Image.Image) -> bytes:
    written = io.BytesIO()
    picture.save(written, "PNG")
    return written.getvalue()


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_a_picture_becomes_small(kind: str) -> None:
    assert opened(of_image(io.BytesIO(jpeg(1024, 2048, kind)))).size == (256, 512)


def test_a_small_picture_stays_as_large_as_it_is() -> None:
    assert opened(of_image(io.BytesIO(jpeg(100, 70)))).size == (100, 70)


def test_a_picture_is_turned_upright_and_tells_nothing_else() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # The camera was turned by a quarter.
    exif[0x010F] = "a camera"
    written = io.BytesIO()
    Image.new("RGB", (200, 100)).save(written, "JPEG", exif=exif)
    made = opened(of_image(written))
    assert made.size == (100, 200)
    assert not made.getexif()


def test_what_is_transparent_becomes_white() -> None:
    made = opened(of_image(io.BytesIO(png(Image.new("RGBA", (100, 100), (0, 0, 0, 0))))))
    assert made.getpixel((50, 50)) == (255, 255, 255)


@pytest.mark.parametrize("mode", ["1", "L", "P", "CMYK", "I;16"])
def test_every_kind_of_colour_is_read(mode: str) -> None:
    written = io.BytesIO()
    Image.new(mode, (100, 100)).save(written, "JPEG" if mode == "CMYK" else "PNG")
    assert opened(of_image(written)).mode == "RGB"


@pytest.mark.parametrize("kind", ["mp4", "webm"])
def test_a_video_becomes_a_picture(kind: str) -> None:
    assert opened(of_video(io.BytesIO(video(640, 320, kind)))).size == (512, 256)


@pytest.mark.parametrize(
    ("read", "content", "problem"),
    [
        pytest.param(of_image, b"", NOT_A_PICTURE, id="nothing"),
        pytest.param(of_image, b"<svg xmlns='http://www.w3.org/2000/svg'/>", NOT_A_PICTURE, id="SVG"),
        pytest.param(of_image, b"%!PS-Adobe-3.0 EPSF-3.0\n", NOT_A_PICTURE, id="PostScript"),
        pytest.param(of_image, b"GIF89a" + bytes(100), NOT_A_PICTURE, id="GIF"),
        pytest.param(of_image, jpeg(200, 200)[:300], NOT_A_PICTURE, id="cut off"),
        pytest.param(of_image, jpeg(64, 63), "This image has 64 x 63 pixels; each side needs 64.", id="too small"),
        pytest.param(
            of_image,
            png(Image.new("1", (10_000, 6_000))),
            "This image has 10000 x 6000 pixels; at most 50000000 in all are taken.",
            id="more pixels than bytes",
        ),
        pytest.param(of_video, b"", NOT_A_VIDEO, id="no video"),
        pytest.param(of_video, b"#EXTM3U\n#EXTINF:1,\nfile:///etc/passwd\n", NOT_A_VIDEO, id="a playlist"),
        pytest.param(of_video, b"ffconcat version 1.0\nfile /etc/passwd\n", NOT_A_VIDEO, id="a list of files"),
        pytest.param(of_video, jpeg(100, 100), NOT_A_VIDEO, id="a picture"),
        pytest.param(of_video, b"\0\0\0\x18ftypmp42" + bytes(100), UNREADABLE, id="only the beginning"),
        pytest.param(of_video, video(640, 480)[:400], UNREADABLE, id="a video cut off"),
        pytest.param(of_video, video(64, 32), "This video has 64 x 32 pixels; each side needs 64.", id="a small video"),
    ],
)
def test_what_is_no_picture_is_refused(read: Callable[[io.BytesIO], bytes], content: bytes, problem: str) -> None:
    with pytest.raises(NotAPicture) as caught:
        read(io.BytesIO(content))
    assert str(caught.value) == problem


def run(kind: str, path: Path) -> subprocess.CompletedProcess[bytes]:
    with path.open("rb") as file:
        command = [sys.executable, "-I", pictures.__file__, kind]
        return subprocess.run(command, stdin=file, capture_output=True, env={}, timeout=60)


def test_as_a_program_it_reads_a_file_and_writes_a_picture(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(jpeg(600, 600))
    done = run("image", tmp_path / "file")
    assert (done.returncode, opened(done.stdout).size) == (0, (512, 512))


def test_as_a_program_it_says_what_is_wrong(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"no video")
    done = run("video", tmp_path / "file")
    assert (done.returncode, done.stdout.decode()) == (pictures.REFUSED, NOT_A_VIDEO)


def test_a_video_that_is_too_long_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pictures, "LONGEST_VIDEO_SECONDS", 1)
    with pytest.raises(NotAPicture, match=r"This video lasts 2 seconds; at most 1 are taken\."):
        of_video(io.BytesIO(video(640, 480, frames=20)))
