"""Exit policies: host rules, integer device forms, calibration and evaluation. NumPy only."""

from trecx.policies.device import (
    NEVER,
    Confidence,
    DeviceCall,
    DevicePolicy,
    Margin,
    TableSum,
    TopClassThresholds,
    from_manifest,
    predicted_class,
)
from trecx.policies.rules import (
    ClassThresholds,
    Entropy,
    LearnedConfidence,
    MaxSoftmax,
    Rule,
    TopMargin,
    dequantize,
    rule_from_manifest,
)

__all__ = [
    "NEVER",
    "ClassThresholds",
    "Confidence",
    "DeviceCall",
    "DevicePolicy",
    "Entropy",
    "LearnedConfidence",
    "Margin",
    "MaxSoftmax",
    "Rule",
    "TableSum",
    "TopClassThresholds",
    "TopMargin",
    "dequantize",
    "from_manifest",
    "predicted_class",
    "rule_from_manifest",
]
