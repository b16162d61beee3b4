"""The presets of induction heads; times are CPU time, which two cores share."""

from phenom_jax.experiment import Preset

PRESETS = {
    "": Preset(
        help="Recall of 8 pairs, one and two layers x 16 seeds; a minute of CPU. Run to its end: with two "
        "layers 15 of 16 runs leave a plateau near 2 nat at step 275 and solve the task 100 steps later, as a head "
        "comes to match prefixes and the gradient norm peaks; one layer stays at 1.8 nat.",
        flags={"layers": "1,2", "seed": "0:16"},
    ),
    "smeared": Preset(
        help="Recall with and without smeared keys, one and two layers x 8 seeds; two minutes of CPU. Run "
        "to its end: with smeared keys one layer solves it at step 155, its head's prefix matching passes 0.5 in 7 of "
        "8 runs and ends at 0.48, and two layers solve it at step 125 where without they take 350.",
        flags={"smeared": "false,true", "layers": "1,2", "seed": "0:8"},
    ),
    "widths": Preset(
        help="Recall over depth 1, 2, 3 and width 8, 16, 32, 64 x 4 seeds; five and a half minutes of CPU. Run to its "
        "end: with one layer no head forms at any width; with two and three it does at step 170 and 160 at width 64, "
        "at 370 and 350 at width 32, at 1030 (3 of 4 runs) and 600 at width 16, and in 3 of 8 runs at width 8.",
        flags={"layers": "1,2,3", "width": "8,16,32,64", "seed": "0:4"},
    ),
    "full": Preset(
        help="Recall with attention alone and with LayerNorm and MLPs, two layers x 8 seeds; two minutes of CPU. Run "
        "to its end: all 16 runs solve it at step 310 to 350 in the median, with LayerNorm and MLPs a little sooner.",
        flags={"block": "attention,full", "seed": "0:8"},
    ),
    "repeated": Preset(
        help="Blocks of 8 to 16 of 32 random tokens, repeated; one and two layers x 8 seeds; two and a half minutes of "
        "CPU. Run to its end: with two layers a head forms at step 515 as the in-context score falls, 93 % of the "
        "tokens that can be known are right at the end; with one layer no head forms, and 31 % are. On the probe of "
        "blocks of 25, longer than any distance trained on, the heads' prefix matching is 0.4 at most.",
        flags={"task": "repeated", "varied": "true", "symbols": "32", "layers": "1,2", "seed": "0:8", "steps": "6000"},
    ),
    "absolute": Preset(
        help="Recall and blocks that always repeat after 16 tokens, with relative and with learned absolute positions "
        "x 8 seeds; three and a half minutes of CPU. Run to its end: all 32 runs solve their task. Blocks are learnt "
        "without a head that matches prefixes on a probe of other blocks (0.05), for what they repeat lies at one "
        "distance: one layer suffices (8 of 8 runs). In recall a head forms with learned positions as well (0.99).",
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
        help="Edelman et al. 2024: chains of 3 states, length 100, one and two layers x 4 seeds; three minutes of CPU. "
        "Run to its end: with two layers the model is 0.017 nat from the unigram predictor at step 110 and nearer to "
        "the bigram predictor from step 680 on, ending 0.04 nat away; one layer stays at the unigram predictor.",
        flags={"task": "markov", "symbols": "3", "length": "100", "layers": "1,2", "seed": "0:4", "steps": "3000"},
    ),
}
