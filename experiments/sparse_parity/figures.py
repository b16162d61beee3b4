"""The figures of a sparse-parity sweep."""

from __future__ import annotations

from phenom_jax.results.curves import Scale, two_axes
from phenom_jax.results.figures import Figure

ACCURACY = Scale("accuracy", limits=(0.4, 1.02))

FIGURES = (
    Figure(
        "hidden_progress",
        "Progress that accuracy does not show",
        "",
        lambda results: two_axes(
            results,
            {"test_accuracy": "-"},
            ACCURACY,
            {"relevant_movement": "-", "irrelevant_movement": "--"},
            Scale("largest |w - w₀|"),
            panel="inputs",
        ),
    ),
)
