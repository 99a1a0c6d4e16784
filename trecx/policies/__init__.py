"""Exit policies: host rules, integer device forms, calibration and evaluation. NumPy only."""

from trecx.policies.benefit import LOSSES, BenefitCurve, Pick, benefit_curve
from trecx.policies.bootstrap import Estimate, Resamples
from trecx.policies.calibration import Budget, CalibrationResult, Guarantee, calibrate
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
from trecx.policies.evaluation import Evaluation, evaluate
from trecx.policies.families import FAMILIES, family
from trecx.policies.outputs import ChainOutputs, PathCosts, SplitRole, stop_segments
from trecx.policies.overthinking import Mitigation, Overthinking, analyse_overthinking
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
    "FAMILIES",
    "LOSSES",
    "NEVER",
    "BenefitCurve",
    "Budget",
    "CalibrationResult",
    "ChainOutputs",
    "ClassThresholds",
    "Confidence",
    "DeviceCall",
    "DevicePolicy",
    "Entropy",
    "Estimate",
    "Evaluation",
    "Guarantee",
    "LearnedConfidence",
    "Margin",
    "MaxSoftmax",
    "Mitigation",
    "Overthinking",
    "PathCosts",
    "Pick",
    "Resamples",
    "Rule",
    "SplitRole",
    "TableSum",
    "TopClassThresholds",
    "TopMargin",
    "analyse_overthinking",
    "benefit_curve",
    "calibrate",
    "dequantize",
    "evaluate",
    "family",
    "from_manifest",
    "predicted_class",
    "rule_from_manifest",
    "stop_segments",
]
