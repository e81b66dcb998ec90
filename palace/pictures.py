"""Looks at a picture or a video that somebody sent, and makes a small JPEG of it. A program of its own.

Libraries that read pictures have had faults that let a file crash a program or run its own code, so this runs as
another process, with an empty environment and little to use up: `python -I pictures.py image|video`, the file on
standard input, the JPEG on standard output. With exit code 3 standard output has the sentence that tells what is wrong.
"""

import io
import resource
import sys
from typing import TYPE_CHECKING, BinaryIO

if TYPE_CHECKING:
    from PIL.Image import Image

REFUSED = 3
LONGEST_SIDE = 512
JPEG_QUALITY = 85
MOST_PIXELS = {"image": 50_000_000, "video": 4096 * 4096}
FEWEST_PIXELS_A_SIDE = 64
LONGEST_VIDEO_SECONDS = 600
CPU_SECONDS = 30
MOST_MEMORY_BYTES = 2 << 30

PICTURES = ("JPEG", "PNG", "WEBP")
BEGINNINGS = {b"ftyp": "mov", b"moov": "mov", b"\x1aE\xdf\xa3": "matroska"}
"""How the containers begin that are read: no other, since some lead to further files, on this machine or elsewhere."""


class NotAPicture(Exception):
    """The file is not what it should be; the text says so in a sentence."""


def of_image(file: BinaryIO) -> bytes:
    """A small JPEG of a picture. Raises NotAPicture."""
    from PIL import Image, ImageOps, UnidentifiedImageError

    try:
        with Image.open(file, formats=PICTURES) as picture:
            _check_size("image", *picture.size)
            picture.draft("RGB", (LONGEST_SIDE, LONGEST_SIDE))
            upright = ImageOps.exif_transpose(picture)
            return _small_jpeg(upright)
    except (UnidentifiedImageError, Image.DecompressionBombError, OSError, ValueError, SyntaxError) as error:
        raise NotAPicture("This is not a picture: a JPEG, PNG or WebP file is needed.") from error


def of_video(file: BinaryIO) -> bytes:
    """A small JPEG of the first frame of a video. Raises NotAPicture."""
    import av

    container_format = _container_format(file)
    try:
        with av.open(file, "r", format=container_format, options={"protocol_whitelist": ""}) as container:
            if not container.streams.video:
                raise NotAPicture("This file has no picture: it has no video stream.")
            stream = container.streams.video[0]
            _check_size("video", stream.width, stream.height)
            seconds = (container.duration or 0) / av.time_base
            if seconds > LONGEST_VIDEO_SECONDS:
                problem = f"This video lasts {seconds:.0f} seconds; at most {LONGEST_VIDEO_SECONDS} are taken."
                raise NotAPicture(problem)
            stream.thread_count = 1
            frame = next(iter(container.decode(stream)))
            _check_size("video", frame.width, frame.height)
            picture: Image = frame.to_image()  # type: ignore[no-untyped-call]
            return _small_jpeg(picture.rotate(frame.rotation, expand=True))
    except (av.error.FFmpegError, StopIteration, ValueError) as error:
        raise NotAPicture("This is not a video that can be read: an MP4, MOV or WebM file is needed.") from error


def _container_format(file: BinaryIO) -> str:
    beginning = file.read(12)
    file.seek(0)
    for mark, container_format in BEGINNINGS.items():
        if mark in (beginning[4:8], beginning[:4]):
            return container_format
    raise NotAPicture("This is not a video: an MP4, MOV or WebM file is needed.")


def _check_size(kind: str, width: int, height: int) -> None:
    most = MOST_PIXELS[kind]
    if width * height > most:
        raise NotAPicture(f"This {kind} has {width} x {height} pixels; at most {most} in all are taken.")
    if min(width, height) < FEWEST_PIXELS_A_SIDE:
        raise NotAPicture(f"This {kind} has {width} x {height} pixels; each side needs {FEWEST_PIXELS_A_SIDE}.")


def _small_jpeg(picture: "Image") -> bytes:
    """At most 512 pixels a side, on white where it is transparent, without what else the file tells."""
    from PIL import Image

    picture.thumbnail((LONGEST_SIDE, LONGEST_SIDE))
    if picture.has_transparency_data:
        picture = picture.convert("RGBA")
        ground = Image.new("RGBA", picture.size, "white")
        picture = Image.alpha_composite(ground, picture)
    written = io.BytesIO()
    picture.convert("RGB").save(written, "JPEG", quality=JPEG_QUALITY, optimize=True)
    return written.getvalue()


def _limit() -> None:
    """Leave this process little to do harm with: time, memory, and no file to write."""
    for kind, most in (
        (resource.RLIMIT_CPU, CPU_SECONDS),
        (resource.RLIMIT_AS, MOST_MEMORY_BYTES),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_CORE, 0),
    ):
        resource.setrlimit(kind, (most, most))


def main() -> None:
    """Read standard input, write standard output."""
    _limit()
    make = {"image": of_image, "video": of_video}[sys.argv[1]]
    try:
        said, code = make(sys.stdin.buffer), 0
    except NotAPicture as error:
        said, code = str(error).encode(), REFUSED
    sys.stdout.buffer.write(said)
    sys.stdout.buffer.flush()
    sys.exit(code)


if __name__ == "__main__":
    main()
