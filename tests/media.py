"""Pictures and videos for tests, made on the spot."""

import io

import av
from PIL import Image


def jpeg(width: int, height: int, kind: str = "JPEG") -> bytes:
    """A picture of one colour."""
    written = io.BytesIO()
    Image.new("RGB", (width, height), (120, 60, 30)).save(written, kind)
    return written.getvalue()


def size_of(picture: bytes) -> tuple[int, int]:
    """Width and height of a JPEG."""
    with Image.open(io.BytesIO(picture), formats=("JPEG",)) as opened:
        return opened.size


def video(width: int, height: int, kind: str = "mp4", frames: int = 5) -> bytes:
    """A silent video of one colour, ten frames a second."""
    written = io.BytesIO()
    with av.open(written, "w", format=kind) as container:
        stream = container.add_stream({"mp4": "mpeg4", "webm": "libvpx"}[kind], rate=10)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        picture = Image.new("RGB", (width, height), (120, 60, 30))
        for _ in range(frames):
            container.mux(stream.encode(av.VideoFrame.from_image(picture)))
        container.mux(stream.encode())
    return written.getvalue()
