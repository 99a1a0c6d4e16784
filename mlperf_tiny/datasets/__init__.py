"""Data sets of the MLPerf Tiny tasks, one a module: load(path, seed=...) -> DataSplits."""

CIFAR10_CLASSES = (
    "airplane",
    "automobile",
    "bird",
    "cat",
    "deer",
    "dog",
    "frog",
    "horse",
    "ship",
    "truck",
)
WORDS = ("down", "go", "left", "no", "off", "on", "right", "stop", "up", "yes")

# The benchmarks' own classes; a user's data may have others (`DataSplits.labels`).
LABELS = {
    "ic": CIFAR10_CLASSES,
    "kws": (*WORDS, "silence", "unknown"),
    "vww": ("non_person", "person"),
    "ad": ("normal", "anomaly"),
}
