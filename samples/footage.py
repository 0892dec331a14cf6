"""From clean renders to the video that a small camera would have stored."""

import av
import numpy as np

PHOTON_NOISE = 0.0035  # variance of the noise in linear light, per unit of light
READ_NOISE = 0.006  # its standard deviation in the dark


def with_sensor_noise(image, seed):
    """Add the noise of a small sensor.

    Args:
        image: [H, W, 3] uint8, display values.
        seed: Anything that numpy's generator takes.

    Returns:
        [H, W, 3] uint8.
    """
    random = np.random.default_rng(seed)
    linear = (image / 255.0) ** 2.2
    spread = np.sqrt(PHOTON_NOISE * 0.1 * linear + READ_NOISE**2 * (0.05 + linear))
    noisy = np.clip(linear + spread * random.normal(size=image.shape), 0.0, 1.0)
    return np.rint(255.0 * noisy ** (1.0 / 2.2)).astype(np.uint8)


def read_image(path):
    """An image file as [H, W, 3] uint8."""
    with av.open(str(path)) as container:
        return next(container.decode(video=0)).to_ndarray(format="rgb24")


def write_video(frame_paths, film, path, crf):
    """Encode frames as H.264, yuv420p.

    Args:
        frame_paths: One image a frame, in order.
        film: Film.
        path: Where to write the MP4 file.
        crf: x264's constant quality; lower is better and larger.
    """
    with av.open(str(path), "w", options={"movflags": "+faststart"}) as container:
        stream = container.add_stream("libx264", rate=film.fps)
        stream.width, stream.height, stream.pix_fmt = film.width, film.height, "yuv420p"
        stream.options = {"crf": str(crf), "preset": "veryslow", "tune": "grain"}
        for index, frame_path in enumerate(frame_paths):
            image = with_sensor_noise(read_image(frame_path), (2024, index))
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        container.mux(stream.encode())
