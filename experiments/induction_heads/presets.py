"""The presets of induction heads; times are of two slow CPU cores."""

from phenom_jax.experiment import Preset

_REPEATED = {"task": "repeated", "varied": "true", "symbols": "32"}

PRESETS = {
    "": Preset(
        help="Recall of 8 pairs, one and two layers x 16 seeds; a minute. With two layers the loss leaves its plateau "
        "and falls at once, as a head comes to match prefixes; with one layer it stays.",
        flags={"layers": "1,2", "seed": "0:16"},
    ),
    "debug": Preset(
        help="Two layers x 2 seeds, 60 steps; seconds. Nothing forms.",
        flags={"seed": "0:2", "steps": "60"},
        expects={"loss": (1.9, 2.2), "probe_matching": (0.05, 0.15)},
    ),
    "smeared": Preset(
        help="Recall with and without smeared keys, one and two layers x 8 seeds; a minute. What one layer can then.",
        flags={"smeared": "false,true", "layers": "1,2", "seed": "0:8"},
    ),
    "widths": Preset(
        help="Recall over depth 1, 2, 3 and width 8, 16, 32 x 8 seeds; three minutes. Where a head forms, and when.",
        flags={"layers": "1,2,3", "width": "8,16,32", "seed": "0:8"},
    ),
    "full": Preset(
        help="Recall with attention alone and in whole transformers, two layers x 8 seeds; a minute.",
        flags={"block": "attention,full", "seed": "0:8"},
    ),
    "repeated": Preset(
        help="Blocks of 8 to 16 of 32 random tokens, repeated; one and two layers x 8 seeds; a minute and a half. The "
        "in-context score and the head; one layer can guess which tokens a block has, not their order.",
        flags=_REPEATED | {"layers": "1,2", "seed": "0:8", "steps": "6000"},
    ),
    "absolute": Preset(
        help="Recall and blocks that always repeat after 16 tokens, with relative and with learned absolute positions "
        "x 8 seeds; two minutes. Which of the four need a head that matches prefixes.",
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
        help="Edelman et al. 2024: chains of 3 states, length 100, one and two layers x 8 seeds; two minutes.",
        flags={"task": "markov", "symbols": "3", "length": "100", "layers": "1,2", "seed": "0:8", "steps": "2000"},
    ),
}
