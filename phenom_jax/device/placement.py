"""Where in a layout the live runs belong: dense in groups, even over devices."""

from __future__ import annotations

import collections
import math
from collections.abc import Sequence

from phenom_jax.device.program import Layout


def dense_order(layout: Layout) -> list[int]:
    """Returns lane indices in the order to fill them: whole groups, taken from each device in turn."""
    per_device = layout.groups * layout.lanes
    return [
        device * per_device + group * layout.lanes + lane
        for group in range(layout.groups)
        for device in range(layout.devices)
        for lane in range(layout.lanes)
    ]


def busiest(layout: Layout, lanes: Sequence[int]) -> int:
    """Returns how many groups the busiest device works through."""
    groups = {lane // layout.lanes for lane in lanes}
    per_device = collections.Counter(group // layout.groups for group in groups)
    return max(per_device.values(), default=0)


def smaller(layout: Layout, live: int) -> Layout:
    """Returns the layout with half the vmap's lanes or fewer, if the live runs fit; never fewer than two in all."""
    if layout.groups > 1 or live > layout.total / 2:
        return layout
    needed = math.ceil(live / layout.devices)
    lanes = 1 << (needed - 1).bit_length()
    least = 2 if layout.lanes > 1 else 1
    return layout._replace(lanes=max(least, min(lanes, layout.lanes)))


def fewer_lanes(layout: Layout) -> Layout | None:
    """Returns a layout of about half the lanes, None where there are as few as a program can have."""
    if layout.groups > 1:
        return layout._replace(groups=layout.groups // 2)
    least = 2 if layout.devices == 1 else 1
    return layout._replace(lanes=max(least, layout.lanes // 2)) if layout.lanes > least else None
