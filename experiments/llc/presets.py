"""The presets of llc. What suits the source, step size and temperature above all, is set by the launcher."""

from phenom_jax.experiment import Preset

PRESETS = {
    "": Preset(
        help="8 chains around every kept state; 32 around those of deep_linear, 4 around those of grokking. Run to its "
        "end: deep_linear climbs 2.6, 3.7, 4.3, 4.6 with the rank (exact 3, 4, 4.5, 4.5); grokking climbs to 83 at "
        "step 60, has 74 when it has memorised, 11 before half of the test pairs are right and 0.04 at the end. "
        "Without weight decay, where grokking does not generalise, the coefficient falls as far.",
        flags={"seed": "0:8"},
    ),
    "calibration": Preset(
        help="The last kept state of the first run under 9 step sizes x 4 localisations, 4 chains each. A minute for "
        "deep_linear on two cores. Run to its end there: 4.5 to 4.6 up to step size 1e-5 and localisation 100, "
        "rising beyond the step rule, falling with localisation 1000.",
        flags={
            "seed": "0:4",
            "source": "0",
            "checkpoint": "-1",
            "step_size": "log:1e-6:1e-2:9",
            "localisation": "log:1:1000:4",
        },
    ),
    "mala": Preset(
        help="Metropolis-corrected chains, for absolute values: 8 around the last kept state of every run. Run to its "
        "end for deep_linear, half a minute on two cores: 4.50 where 4.5 is exact.",
        flags={"seed": "0:8", "checkpoint": "-1", "sampler": "mala", "batch": "0"},
    ),
}
