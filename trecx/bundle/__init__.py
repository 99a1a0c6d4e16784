"""The exported bundle: a folder with the int8 segments, the uncut network and manifest.json.

    stem.tflite [mid1.tflite ...] tail.tflite   the chain; stem then tail equals full, bit for bit
    full.tflite                                 the uncut network, all outputs
    cascade.tflite                              the chain and its exit decisions in one file
    base.tflite                                 the network without exits, if given
    manifest.json                               what the files are (trecx/manifest.schema.json)

A network without exits is a chain of one: `full.tflite` alone.
"""

from trecx.bundle.bundle import Bundle, DataFacts, Quantised, Segment
from trecx.bundle.manifest import MANIFEST, SCHEMA_VERSION, manifest_schema
from trecx.bundle.read import read_bundle
from trecx.bundle.tflm_export import TflmModel, export_tflm
from trecx.bundle.verify import Check, Verification, random_inputs, verify_bundle
from trecx.bundle.write import write_bundle

__all__ = [
    "MANIFEST",
    "SCHEMA_VERSION",
    "Bundle",
    "Check",
    "DataFacts",
    "Quantised",
    "Segment",
    "TflmModel",
    "Verification",
    "export_tflm",
    "manifest_schema",
    "random_inputs",
    "read_bundle",
    "verify_bundle",
    "write_bundle",
]
