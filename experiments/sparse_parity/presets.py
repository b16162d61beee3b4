"""The presets of sparse parity: the quick default, and the settings of the papers and the course."""

from phenom_jax.experiment import Preset

PRESETS = {
    "": Preset(
        help="Parities of 2, 3 and 4 of 20 to 60 inputs on fresh examples, 64 seeds, ReLU perceptrons of width 100 "
        "(Barak et al. 2022): 960 runs, about a minute on two cores. Run to its end: all are solved; steps to 99 % "
        "grow as n^0.53, n^1.40 and n^1.59 at k = 2, 3 and 4 (k = 3: 760, 1350 and 2650 steps at n = 20, 30 and 50; "
        "published 780, 1170 and 2900).",
        flags={"inputs": "20,30,40,50,60", "degree": "2,3,4", "seed": "0:64", "steps": "20000"},
    ),
    "paper": Preset(
        help="Barak et al. 2022: degrees 3, 4 and 5 of 20, 30 and 50 inputs, 16 seeds, about 90 CPU seconds. Run to "
        "its end: at n = 30 the medians are 1340, 1500 and 9710 steps (published 1170, 1340 and 7725), at n = 50 "
        "and k = 5 22k.",
        flags={"inputs": "20,30,50", "degree": "3,4,5", "seed": "0:16", "steps": "100000"},
    ),
    "course": Preset(
        help="The course's one neuron, f = sin(w·x + b), square loss, initial weights 4 times the usual: 384 runs, "
        "about 30 CPU seconds. Run to its end: degrees 2 and 3 are solved near step 2000 at n = 30 in 58 of 64 "
        "runs, degree 4 in half; the rest stay where they got stuck within 50k steps. With the usual initial "
        "weights none was solved.",
        flags={
            "model": "sine",
            "loss": "square",
            "learning_rate": "0.01",
            "init_scale": "4",
            "inputs": "10,20,30,40",
            "degree": "2,3,4",
            "seed": "0:32",
            "steps": "50000",
        },
    ),
    "polynet": Preset(
        help="Disjoint polynomial networks (Barak et al. 2022, section 4.2), square loss, 12 to 60 inputs, degrees 2 "
        "to 4, 32 seeds: 480 runs, about 50 CPU seconds. Run to its end: 479 are solved, in steps that grow as "
        "n^0.24, n^0.72 and n^1.35.",
        flags={
            "model": "polynet",
            "loss": "square",
            "learning_rate": "0.01",
            "inputs": "12,24,36,48,60",
            "degree": "2,3,4",
            "seed": "0:32",
            "steps": "100000",
        },
    ),
    "losses": Preset(
        help="Hinge, square and logistic loss, degree 3 of 20, 30 and 40 inputs, 32 seeds: 288 runs, about 90 CPU "
        "seconds. Run to its end: at n = 30 they take 1280, 830 and 2720 steps (medians).",
        flags={"loss": "hinge,square,logistic", "inputs": "20,30,40", "seed": "0:32", "steps": "50000"},
    ),
    "widths": Preset(
        help="Five widths x four batch sizes x 16 seeds, degree 3 of 30 inputs: 320 runs, about 60 CPU seconds. Run to "
        "its end: all are solved, from 5930 steps (width 10, batches of 2) down to 1060 (width 300 or 1000, "
        "batches of 128).",
        flags={"width": "10,30,100,300,1000", "batch_size": "2,8,32,128", "seed": "0:16", "steps": "30000"},
    ),
    "grokking": Preset(
        help="Merrill et al. 2023: 1000 samples of a parity of 3 of 40 inputs, width 1000, with and without weight "
        "decay, 8 seeds, 300 epochs: 16 runs, about 20 CPU seconds. Run to its end: with decay train accuracy "
        "reaches 99 % at epoch 24 to 37 and test accuracy at 115 to 163 (published about 20, and 117 to 141) "
        "while the active units fall from 958 to 216, and to 27 at the end; without decay test accuracy stays at "
        "chance.",
        flags={
            "data": "finite",
            "inputs": "40",
            "samples": "1000",
            "width": "1000",
            "weight_decay": "0,0.01",
            "seed": "0:8",
            "steps": "9600",
            "retire_done": "false",
        },
    ),
    "samples": Preset(
        help="How many samples generalise: 300 to 4000 of a parity of 3 of 40 inputs, width 300, three weight decays, "
        "8 seeds: 120 runs, about 90 CPU seconds. Run to its end: 300 never do within 20k steps, 4000 do without "
        "decay (7 of 8), 1000 and 2000 with decay alone; more samples and more decay are sooner.",
        flags={
            "data": "finite",
            "inputs": "40",
            "samples": "300,600,1000,2000,4000",
            "weight_decay": "0,0.003,0.01",
            "width": "300",
            "seed": "0:8",
            "steps": "20000",
        },
    ),
}
