"""The figures of a grokking sweep."""

from phenom_jax.report.curves import Scale, curves, two_axes
from phenom_jax.report.figures import Figure
from phenom_jax.report.maps import phase_diagram, spectrum

ACCURACY = Scale("accuracy", limits=(-0.02, 1.02))
LARGEST = {"width": max, "train_fraction": max}

FIGURES = (
    Figure(
        "accuracy",
        "Memorisation, then generalisation",
        "Train accuracy (dashed) and test accuracy (solid) over training, a panel per weight decay, a colour per "
        "width; thin lines are single runs.",
        lambda results: curves(
            results, {"train_accuracy": "--", "test_accuracy": "-"}, ACCURACY, colour="width", panel="weight_decay"
        ),
    ),
    Figure(
        "phase_diagram",
        "When it generalises",
        "Median number of steps until 95 % of the test pairs are right, over weight decay and width (or train "
        "fraction, or step size, where that is what varies).",
        lambda results: phase_diagram(
            results,
            "generalisation_step",
            x=("weight_decay", "gradient_filter", "operation"),
            y=("width", "train_fraction", "learning_rate", "init_scale", "model", "activation"),
            label="steps to generalise",
        ),
        format="svg",
    ),
    Figure(
        "weight_norm",
        "Weight norm against accuracy",
        "The sum of squared weights (right axis, logarithmic) beside train and test accuracy.",
        lambda results: two_axes(
            results,
            {"train_accuracy": "--", "test_accuracy": "-"},
            ACCURACY,
            {"weight_norm": "-"},
            Scale("sum of squared weights", log=True),
            panel="weight_decay",
            at=LARGEST,
        ),
    ),
    Figure(
        "progress",
        "Progress hidden below the test accuracy",
        "Restricted loss keeps of the logits only what depends on a ∘ b through the key frequencies; excluded loss "
        "takes that part away. Restricted loss of the test pairs falls while test accuracy has not risen yet.",
        lambda results: two_axes(
            results,
            {"test_loss": "--", "restricted_test_loss": "-", "excluded_loss": "-."},
            Scale("loss (nat)", log=True),
            {"test_accuracy": "-"},
            Scale("test accuracy", limits=(-0.02, 1.02)),
            panel="weight_decay",
            at=LARGEST,
        ),
    ),
    Figure(
        "spectrum",
        "Fourier spectrum of the embedding",
        "Share of the embedding's squared norm in each frequency at the largest weight decay: over training for one "
        "run, and where every run ended.",
        lambda results: spectrum(
            results, "fourier_spectrum", "share of squared norm", at={**LARGEST, "weight_decay": max}
        ),
    ),
)
