"""People for drawn crowds: solids made of tapered capsules, lit by the sun and seen by one camera."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float32]
Color = npt.NDArray[np.float64]
Pair = tuple[float, float]
Paint = Callable[[Color], Color]
"""Colours (H, W, 3) in [0, 1] of a surface with normals (H, W, 3): right, up, towards the camera."""

LIGHT = np.array((-0.50, 0.66, 0.56))
"""Direction to the sun: left, up, and towards the camera."""


def palette(colors: str) -> Color:
    """Hexadecimal colours as (N, 3) in [0, 1]."""
    return np.array([list(bytes.fromhex(color)) for color in colors.split()]) / 255


SKIN = palette("f6d5be e8bc9b ce9a76 a87452 7a523a 54392b")
HAIR = palette("1c1818 2e221c 4a3222 704c2c 1c1818 2e221c b08854 807c7a")
CLOTHES = palette(
    "262c3a 3a3e46 ccccc8 e8e4dc 962c30 c4543c deaa46 42684a 68805c "
    "345484 5c86b2 7e5880 be8c96 8c7054 181a1e 5a283c 468288 d4bea0"
)
TROUSERS = palette("26304a 3a4c6e 1e1e22 54504c 7c6c56 a89c86 463c32")
HAZE = palette("ced6de")[0]


@dataclass(frozen=True)
class Camera:
    """A pinhole camera above a plaza, pitched down; distances are in metres.

    Attributes:
        width, height: the picture in pixels.
        elevation: how high the camera is.
        pitch: radians below the horizontal.
        focal: focal length in picture widths.
    """

    width: int
    height: int
    elevation: float = 5.2
    pitch: float = 0.20
    focal: float = 1.02

    def project(self, x: float, y: float, z: float) -> tuple[float, float, float]:
        """A point `x` to the right, `y` up and `z` ahead: pixel (x, y), and pixels per metre there."""
        drop = self.elevation - y
        depth = drop * np.sin(self.pitch) + z * np.cos(self.pitch)
        down = drop * np.cos(self.pitch) - z * np.sin(self.pitch)
        scale = self.focal * self.width / depth
        return self.width / 2 + scale * x, self.height / 2 + scale * down, scale

    def rays(self, factor: int) -> tuple[Array, Array]:
        """For each pixel of a `factor` times finer grid, (x, y) per metre ahead of the camera."""
        columns = (np.arange(self.width * factor, dtype=np.float32) + 0.5) / factor - self.width / 2
        rows = (np.arange(self.height * factor, dtype=np.float32)[:, None] + 0.5) / factor - self.height / 2
        u, v = columns / (self.focal * self.width), rows / (self.focal * self.width)
        ahead = np.cos(self.pitch) - v * np.sin(self.pitch)
        up = -np.sin(self.pitch) - v * np.cos(self.pitch)
        return (u / ahead).astype(np.float32), np.broadcast_to(up / ahead, (len(rows), len(columns)))


class Canvas:
    """A picture to paint solid shapes on, which remembers whose head is on top of each pixel."""

    def __init__(self, picture: Array) -> None:
        self.picture = picture
        self.heads = np.full(picture.shape[:2], -1, np.int32)

    def limb(
        self,
        start: Pair,
        end: Pair,
        radii: Pair,
        paint: Paint,
        *,
        stretch: float = 1.0,
        head: int = -1,
    ) -> int:
        """Paints a tapered capsule, shaded as the solid it is; returns how many pixels it covers.

        Args:
            start: one end, in pixels.
            end: the other.
            radii: at both ends, in pixels.
            paint: colour and light.
            stretch: how much wider than round it is.
            head: whose head it is, -1 for anything else.
        """
        height, width, _ = self.picture.shape
        reach = max(radii) + 1
        left = max(0, int(min(start[0], end[0]) - reach * stretch))
        right = min(width, int(max(start[0], end[0]) + reach * stretch) + 2)
        top = max(0, int(min(start[1], end[1]) - reach))
        bottom = min(height, int(max(start[1], end[1]) + reach) + 2)
        if left >= right or top >= bottom:
            return 0
        x = ((np.arange(left, right) + 0.5 - start[0]) / stretch)[None]
        y = (np.arange(top, bottom) + 0.5 - start[1])[:, None]
        along = ((end[0] - start[0]) / stretch, end[1] - start[1])
        t = np.clip((x * along[0] + y * along[1]) / max(along[0] ** 2 + along[1] ** 2, 1e-9), 0, 1)
        radius = radii[0] + t * (radii[1] - radii[0])
        nx, ny = (x - t * along[0]) / radius, (y - t * along[1]) / radius
        distance = np.hypot(nx, ny)
        alpha = np.clip((1 - distance) * radius + 0.5, 0, 1)
        grow = np.maximum(distance, 1)
        nx, ny = nx / grow, -ny / grow
        normal = np.stack((nx, ny, np.sqrt(np.clip(1 - nx**2 - ny**2, 0, 1))), axis=-1)
        window = self.picture[top:bottom, left:right]
        window += alpha[..., None] * (paint(normal) - window)
        self.heads[top:bottom, left:right][alpha > 0.5] = head
        return int((alpha > 0.5).sum())


class Person:
    """A person standing somewhere, whose looks and pose are left to chance.

    Args:
        rng: the source of chance.
        camera: who looks.
        place: (x, z), metres to the right of the camera and ahead of it.
        facing: radians; 0 towards the camera, pi / 2 to the right.
        phase: radians of the walk, of which a full turn is two steps; left to chance by default.
    """

    def __init__(
        self,
        rng: np.random.Generator,
        camera: Camera,
        place: Pair,
        facing: float,
        phase: float | None = None,
    ) -> None:
        self.place = place
        height = rng.uniform(1.0, 1.4) if rng.random() < 0.06 else rng.normal(1.70, 0.08)
        build = rng.uniform(0.92, 1.18) * height / 1.7
        self._pose(camera, place, height, facing + rng.normal(0, 0.25))
        self._size = self._scale * build
        self._radius = 0.112 * self._scale * (0.5 + 0.5 * build)
        self._stride, self._swing = rng.uniform(-0.16, 0.16), rng.uniform(-0.10, 0.10)
        if phase is not None:
            self._stride, self._swing = 0.16 * np.sin(phase), -0.10 * np.sin(phase)
        self._skin, self._hair = pick(rng, SKIN), pick(rng, HAIR)
        self._top, self._trousers = pick(rng, CLOTHES), pick(rng, TROUSERS)
        self._bag = pick(rng, CLOTHES) if rng.random() < 0.22 else None
        self._sleeves, self._skirt, self._stripes = rng.random(3) < (0.6, 0.14, 0.12)
        self._long_hair = rng.random() < 0.34
        self._bald = not self._long_hair and rng.random() < 0.07
        covered = not self._long_hair and rng.random() < 0.16
        self._crown = pick(rng, CLOTHES) if covered else self._hair

    def _pose(self, camera: Camera, place: Pair, height: float, facing: float) -> None:
        x, z = place
        foot_x, self._foot, self._scale = camera.project(x, 0, z)
        head_x, head_y, _ = camera.project(x, height - 0.11, z)
        self.head = (head_x, head_y)
        self._lean = (foot_x, head_x - foot_x)
        self._rise = (self._foot - head_y) * height / (height - 0.11)
        self._haze = 1 - float(np.exp(-z / 190))
        tilt = camera.pitch + 0.10
        self._side, self._front = float(np.sin(facing)), float(np.cos(facing))
        self._across = 0.55 + 0.45 * abs(self._front)
        self._ahead = np.array((self._side, -np.sin(tilt), self._front * np.cos(tilt)))

    def draw(self, canvas: Canvas, index: int) -> int:
        """Paints the person; returns how many pixels the head covers, which are then marked `index`."""
        self._legs(canvas)
        near = 1 if self._side > 0 else -1
        self._arm(canvas, -near)
        if self._front >= 0:
            self._back(canvas)
        self._torso(canvas)
        self._arm(canvas, near)
        self._limb(canvas, (0, 0.80), (0, 0.87), (0.052, 0.05), self._skin * 0.8)
        if self._front < 0:
            self._back(canvas)
        covered = self._face(canvas, index)
        if self._long_hair and self._front < -0.2:
            self._limb(canvas, (0, 0.81), (0, 0.91), (0.07, 0.095), self._hair)
        return covered

    def _limb(
        self, canvas: Canvas, start: Pair, end: Pair, radii: Pair, color: Color, wide: float = 1.0
    ) -> None:
        """A capsule between two places on the body: metres to the right, and up in body heights."""
        paint = solid(color, self._haze)
        canvas.limb(self._at(start), self._at(end), self._sized(radii), paint, stretch=wide)

    def _at(self, place: Pair) -> Pair:
        foot, lean = self._lean
        return foot + lean * place[1] + self._size * place[0], self._foot - self._rise * place[1]

    def _sized(self, radii: Pair) -> Pair:
        return self._size * radii[0], self._size * radii[1]

    def _legs(self, canvas: Canvas) -> None:
        stride = self._stride * (0.35 + 0.65 * abs(self._side))
        for leg in (-1, 1):
            hip = 0.078 * leg * self._across
            foot, knee = hip + leg * stride, hip + 0.6 * leg * stride
            lift = 0.02 if leg * self._stride > 0 else 0.0
            shoe = np.array((0.16, 0.14, 0.13))
            toe = (foot + 0.07 * self._side, 0.016 + lift)
            self._limb(canvas, (foot, 0.022 + lift), toe, (0.05, 0.045), shoe)
            color = self._skin if self._skirt else self._trousers * (0.82 if leg < 0 else 0.92)
            self._limb(canvas, (foot, 0.04 + lift), (knee, 0.27), (0.052, 0.068), color)
            self._limb(canvas, (knee, 0.27), (hip, 0.48), (0.07, 0.092), color)
        if self._skirt:
            self._limb(canvas, (0, 0.27), (0, 0.56), (0.15, 0.11), self._trousers, 1.25 * self._across)

    def _torso(self, canvas: Canvas) -> None:
        shoulder = 0.12 * self._across
        self._limb(canvas, (-shoulder, 0.795), (shoulder, 0.795), (0.066, 0.066), self._top * 0.97)
        paint = (striped if self._stripes else solid)(self._top, self._haze)
        radii = self._sized((0.112, 0.122))
        canvas.limb(self._at((0, 0.49)), self._at((0, 0.765)), radii, paint, stretch=1.42 * self._across)

    def _arm(self, canvas: Canvas, arm: int) -> None:
        shoulder = 0.185 * arm * self._across
        swing = arm * self._swing * (0.3 + 0.7 * abs(self._side))
        elbow, hand = shoulder + 0.035 * arm + 0.5 * swing, shoulder + 0.03 * arm + 1.6 * swing
        sleeve = self._top * 0.9
        forearm = sleeve if self._sleeves else self._skin
        self._limb(canvas, (elbow, 0.64), (hand, 0.50), (0.042, 0.034), forearm)
        self._limb(canvas, (hand, 0.50), (hand, 0.475), (0.036, 0.03), self._skin)
        self._limb(canvas, (shoulder, 0.80), (elbow, 0.64), (0.058, 0.046), sleeve)

    def _back(self, canvas: Canvas) -> None:
        """What is on the back: long hair and a bag."""
        if self._bag is not None:
            self._limb(canvas, (0, 0.60), (0, 0.74), (0.105, 0.10), self._bag, 1.35 * self._across)
        if self._long_hair:
            self._limb(canvas, (0, 0.80), (0, 0.92), (0.075, 0.10), self._hair * 0.9)

    def _face(self, canvas: Canvas, index: int) -> int:
        x, y = self.head
        radius = self._radius
        chin, crown = (x + 0.1 * radius * self._side, y + 0.42 * radius), (x, y - 0.12 * radius)
        covered = canvas.limb(chin, crown, (0.80 * radius, radius), self._head_paint, head=index)
        right = np.array((self._front, 0, -self._side))
        for place in (-0.34, 0.34):
            across, up, towards = 0.94 * self._ahead + place * right + (0, 0.10, 0)
            if towards > 0.3:
                eye, size = (x + radius * across, y - radius * up), 0.1 * radius
                canvas.limb(eye, eye, (size, size), solid(self._skin * 0.22, 0), head=index)
        return covered

    def _head_paint(self, normal: Color) -> Color:
        """Face, or hair or a hat, by where the surface looks in the head's own frame."""
        forward, up = normal @ self._ahead, normal[..., 1]
        bare = np.clip((forward - 0.36 - 0.55 * np.clip(up - 0.25, 0, 1)) / 0.12 + 0.5, 0, 1)
        if self._bald:
            bare = np.ones_like(bare)
        return _lit(self._crown + bare[..., None] * (self._skin - self._crown), normal, self._haze)


def pick(rng: np.random.Generator, colors: Color) -> Color:
    """One of the colours, slightly varied, in [0, 1]."""
    color = colors[rng.integers(len(colors))]
    varied: Color = np.clip(color * rng.uniform(0.88, 1.12) + rng.normal(0, 0.012, 3), 0.02, 1)
    return varied


def _lit(color: Color, normal: Color, haze: float) -> Color:
    """A matt surface in the sun, under a blue sky and above a bright ground."""
    sun = np.clip(normal @ LIGHT, 0, None)[..., None] * np.array((0.78, 0.72, 0.62))
    sky = (0.5 + 0.5 * normal[..., 1:2]) * np.array((0.40, 0.44, 0.50)) + np.array((0.16, 0.15, 0.14))
    shaded = np.clip(color * (sun + sky), 0, 1)
    hazy: Color = shaded + haze * (HAZE - shaded)
    return hazy


def solid(color: Color, haze: float) -> Paint:
    """Cloth and the like: as round as a limb across, but without its round ends, so that parts join."""
    return lambda normal: _lit(np.broadcast_to(color, normal.shape), normal * (0.85, 0.2, 1.0), haze)


def striped(color: Color, haze: float) -> Paint:
    """As `solid`, with bands across."""

    def paint(normal: Color) -> Color:
        rows = np.arange(len(normal))[:, None, None]
        bands = (rows * 7 // max(1, len(normal))) % 2
        return _lit(np.where(bands, color, 0.6 + 0.3 * color), normal * (0.85, 0.2, 1.0), haze)

    return paint
