"""The presets of llc. What suits the source, step size and temperature above all, is set by the launcher."""

from phenom_jax.experiment import Preset

PRESETS = {
    "": Preset(help="All kept states of the source, 8 chains each.", flags={"seed": "0:8"}),
    "calibration": Preset(
        help="The last kept state of the first run under 9 step sizes x 4 localisations, 4 chains each.",
        flags={
            "seed": "0:4",
            "source": "0",
            "checkpoint": "-1",
            "step_size": "log:1e-6:1e-2:9",
            "localisation": "log:1:1000:4",
        },
    ),
    "mala": Preset(
        help="Metropolis-corrected chains, for absolute values: 8 around the last kept state of every run.",
        flags={"seed": "0:8", "checkpoint": "-1", "sampler": "mala", "batch": "0"},
    ),
}
