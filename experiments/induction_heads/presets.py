"""The presets of induction heads."""

from phenom_jax.experiment import Preset

DEPTHS = {"layers": "2,1,1", "smeared": "false,false,true", "zip": "layers,smeared"}

PRESETS = {
    "": Preset(
        help="Recall of 8 pairs: two layers, one layer, and one layer with smeared keys x 16 seeds.",
        flags={**DEPTHS, "seed": "0:16", "steps": "2000"},
    ),
    "smeared": Preset(
        help="Recall with and without smeared keys, one and two layers x 8 seeds.",
        flags={"smeared": "false,true", "layers": "1,2", "seed": "0:8", "steps": "2000"},
    ),
    "widths": Preset(
        help="Recall over depth 1, 2, 3 and width 8, 16, 32, 64, 4 seeds.",
        flags={"layers": "1,2,3", "width": "8,16,32,64", "seed": "0:4", "steps": "2000"},
    ),
    "repeated": Preset(
        help="Blocks of 8 to 16 of 32 random tokens, repeated; one and two layers x 8 seeds.",
        flags={"task": "repeated", "varied": "true", "symbols": "32", "layers": "1,2", "seed": "0:8", "steps": "6000"},
    ),
    "absolute": Preset(
        help="The loss falls without an induction head.",
        flags={
            "task": "recall,repeated",
            "symbols": "8,32",
            "zip": "task,symbols",
            "positions": "relative,learned",
            "probe_block": "10",
            "probe_repeats": "3",
            "seed": "0:8",
            "steps": "3000",
        },
    ),
    "markov": Preset(
        help="Edelman et al. 2024: Markov chains of 3 states, length 100, 4 seeds.",
        flags={"task": "markov", "symbols": "3", "length": "100", "layers": "1,2", "seed": "0:4", "steps": "3000"},
    ),
    "full": Preset(
        help="Two full layers, with LayerNorm and MLPs, on recall, 8 seeds.",
        flags={"block": "attention,full", "seed": "0:8", "steps": "2000"},
    ),
}
