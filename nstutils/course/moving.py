"""A clip made from two pictures whose motion is known exactly: a camera pans and zooms, and something flies past in front."""

from dataclasses import dataclass

import torch
from torch import Tensor

from nstutils import images
from nstutils.motion import warp

Ends = tuple[tuple[float, ...], tuple[float, ...]]  # in the first and in the last frame
SHARE: Ends = ((0.72,), (0.58,))  # of the world, that the camera sees
CORNER: Ends = ((0.05, 0.02), (0.3, 0.3))  # of what it sees, down and right, in shares of the world
MIDDLE: Ends = ((0.3, 0.12), (0.62, 0.85))  # of the disc, down and right, in shares of the frame
RADIUS = 0.17  # of the disc, in heights of the frame


@dataclass(frozen=True, eq=False)
class Moving:
    """Frames, and for each after the first its flow to the one before and 1 where that shows the same."""

    frames: list[Tensor]
    flows: list[Tensor]
    seen: list[Tensor]

    def moves(self, number: int, before: Tensor, now: Tensor) -> tuple[Tensor, Tensor]:
        """The motion from frame `number` to the one before, as `runs.clips` asks for it."""
        return self.flows[number - 1], self.seen[number - 1]


def moving(world: str = "town", thing: str = "chelsea", size: int = 96, count: int = 12, still: bool = False) -> Moving:
    """A disc cut from one picture flies over another, as a camera sees it that moves or stands; `size` is its long side."""
    scene, photograph = images.load(world, round(size / SHARE[1][0])), images.load(thing)
    frame, whole = torch.tensor(images.fitted(scene, size)).view(2, 1, 1), torch.tensor(scene.shape[-2:]).view(2, 1, 1)
    radius, found = RADIUS * float(frame[0]), Moving([], [], [])
    disc = images.cover(photograph, (round(2 * radius), round(2 * radius)))
    grid = torch.stack(torch.meshgrid(*(torch.arange(float(n)) for n in frame.flatten()), indexing="ij"))
    old: tuple[Tensor, ...] = ()
    for k in range(count):
        at = k / (count - 1)
        zoom, corner = (_between(ends, 0 if still else at) * whole for ends in (SHARE, CORNER))
        zoom, middle = zoom / frame, _between(MIDDLE, at) * frame
        world_place, front = grid * zoom + corner, _front(grid, middle, radius)
        found.frames.append(warp(scene, (world_place - grid)[None]).lerp(warp(disc, (radius - middle)[None] + 0 * grid), front))
        if old:
            back = torch.where(front > 0.5, grid - middle + old[2], (world_place - old[1]) / old[0])
            same = (_front(back, old[2], radius) - front).abs() + front * (1 - front) < 0.01
            inside = ((back >= 0) & (back <= frame - 1)).all(0)
            found.flows.append((back - grid)[None])
            found.seen.append((same & inside).float()[None])
        old = zoom, corner, middle
    return found


def _between(ends: Ends, at: float) -> Tensor:
    """What changes evenly, as numbers down and right."""
    first, last = (torch.tensor(end).view(-1, 1, 1) for end in ends)
    return first.lerp(last, at)


def _front(places: Tensor, middle: Tensor, radius: float) -> Tensor:
    """How far the disc covers each place, 1 x H x W."""
    return (radius + 0.5 - (places - middle).norm(dim=0, keepdim=True)).clamp(0, 1)
