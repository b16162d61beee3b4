"""The presets of llc. Those named like the experiment of a source hold for the others around it too."""

from phenom_jax.experiment import Preset, SourceSweep

STAGES = SourceSweep("experiments.deep_linear", {"seed": "0:8", "kept_points": "11"})
MEMORISED = SourceSweep(
    "experiments.grokking",
    {"seed": "0:8", "weight_decay": "0,1", "modulus": "43", "train_fraction": "0.6", "width": "128"}
    | {"steps": "600", "points": "10", "kept_points": "12"},  # before losses without decay round to zero
)
DEEP_LINEAR = {"loss": "behaviour", "n_beta": "1000", "step_size": "1e-5", "steps": "60000", "burn_in": "0.3"}
GROKKING = {"seed": "0:2", "batch": "256", "step_size": "1e-3", "localisation": "100", "steps": "500"}

PRESETS = {
    "": Preset(help="8 chains around every kept state of a --run without a preset of its own.", flags={"seed": "0:8"}),
    "debug": Preset(
        help="2 short chains around the first and the last kept state of two runs: seconds, to see that all works.",
        flags={"seed": "0:2", "steps": "40", "source": "0,1", "checkpoint": "0,-1"},
        source=SourceSweep("experiments.deep_linear", {"seed": "0:2", "steps": "1000", "kept_points": "2"}),
    ),
    "deep_linear": Preset(
        help="8 chains around every kept state of 8 deep linear networks, half the squared distance of the outputs as "
        "loss: 704 chains, about a minute on two cores. The coefficient climbs with the rank, near the exact values.",
        flags={"seed": "0:8"} | DEEP_LINEAR,
        source=STAGES,
    ),
    "mala": Preset(
        help="Metropolis-corrected chains, for absolute values: 8 around the last kept state of each of 8 deep linear "
        "networks, half a minute on two cores.",
        flags={"seed": "0:8", "checkpoint": "-1", "sampler": "mala"} | DEEP_LINEAR,
        source=STAGES,
    ),
    "grokking": Preset(
        help="2 chains around every kept state of 16 grokking networks, 8 with and 8 without weight decay, on "
        "minibatches: about two minutes on two cores. The coefficient climbs until the train pairs are fitted and "
        "falls before half of the test pairs are right; it falls without weight decay too.",
        flags=GROKKING,
        source=MEMORISED,
    ),
    "calibration": Preset(
        help="The last kept state of the first run under 9 step sizes x 4 localisations, 4 chains each: a minute for "
        "deep_linear on two cores. The coefficient rises beyond the step rule and falls with strong localisation.",
        flags={"seed": "0:4", "source": "0", "checkpoint": "-1"}
        | {"step_size": "log:1e-6:1e-2:9", "localisation": "log:1:1000:4"},
    ),
}
