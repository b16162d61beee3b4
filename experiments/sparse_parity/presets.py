"""The presets of sparse parity: the quick default, and the settings of the papers and the course."""

from phenom_jax.experiment import Preset

FINITE = {"data": "finite", "inputs": "40", "seed": "0:8"}

PRESETS = {
    "": Preset(
        help="Parities of 2, 3 and 4 of 12 to 60 inputs on fresh examples, 48 seeds, ReLU perceptrons of width 100 "
        "(Barak et al. 2022): 720 runs, less than two minutes on two cores. All are solved, later with more inputs.",
        flags={"inputs": "12,18,28,40,60", "degree": "2,3,4", "seed": "0:48", "steps": "20000"},
        expects={"solved_step": (550, 700), "test_accuracy": (0.99, 1.01)},
    ),
    "debug": Preset(
        help="Parities of 2 of 10 and 14 inputs, 2 seeds: 4 short runs, seconds.",
        flags={"inputs": "10,14", "degree": "2", "seed": "0:2", "steps": "300"},
        expects={"solved_step": (45, 85), "test_accuracy": (0.99, 1.01)},
    ),
    "paper": Preset(
        help="Barak et al. 2022: degrees 3, 4 and 5 of 20, 30 and 50 inputs, 16 seeds: 144 runs, about 90 CPU seconds. "
        "Degree 5 takes several times as long as degree 4.",
        flags={"inputs": "20,30,50", "degree": "3,4,5", "seed": "0:16", "steps": "100000"},
    ),
    "course": Preset(
        help="The course's one neuron, f = sin(w·x + b), square loss, initial weights 4 times the usual: 384 runs, "
        "about 30 CPU seconds. Not all are solved: some get stuck, most often at degree 4.",
        flags={"model": "sine", "loss": "square", "learning_rate": "0.01", "init_scale": "4", "inputs": "10,20,30,40"}
        | {"degree": "2,3,4", "seed": "0:32", "steps": "50000"},
    ),
    "polynet": Preset(
        help="Disjoint polynomial networks (Barak et al. 2022, section 4.2), square loss, 12 to 60 inputs, degrees 2 "
        "to 4, 32 seeds: 480 runs, about 50 CPU seconds. Nearly all are solved.",
        flags={"model": "polynet", "loss": "square", "learning_rate": "0.01", "inputs": "12,24,36,48,60"}
        | {"degree": "2,3,4", "seed": "0:32", "steps": "100000"},
    ),
    "losses": Preset(
        help="Hinge, square and logistic loss, degree 3 of 20, 30 and 40 inputs, 32 seeds: 288 runs, about 90 CPU "
        "seconds. Logistic loss takes longest.",
        flags={"loss": "hinge,square,logistic", "inputs": "20,30,40", "seed": "0:32", "steps": "50000"},
    ),
    "widths": Preset(
        help="Five widths x four batch sizes x 16 seeds, degree 3 of 30 inputs: 320 runs, about 60 CPU seconds. Wider "
        "networks and larger batches take fewer steps.",
        flags={"width": "10,30,100,300,1000", "batch_size": "2,8,32,128", "seed": "0:16", "steps": "30000"},
    ),
    "grokking": Preset(
        help="Merrill et al. 2023: 1000 samples of a parity of 3 of 40 inputs, width 1000, with and without weight "
        "decay, 8 seeds, 300 epochs: 16 runs, about 20 CPU seconds. With decay they generalise late.",
        flags=FINITE
        | {"samples": "1000", "width": "1000", "weight_decay": "0,0.01", "steps": "9600", "retire_done": "false"},
    ),
    "samples": Preset(
        help="How many samples generalise: 300 to 4000 of a parity of 3 of 40 inputs, width 300, three weight decays, "
        "8 seeds: 120 runs, about 90 CPU seconds. More samples and more decay are sooner; the fewest never do.",
        flags=FINITE
        | {"samples": "300,600,1000,2000,4000", "weight_decay": "0,0.003,0.01", "width": "300", "steps": "20000"},
    ),
}
