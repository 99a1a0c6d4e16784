"""The manifest's schema and the checks against it."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path

from trecx.bundle.schema_check import problems
from trecx.errors import BundleError, InputError
from trecx.policies import from_manifest

SCHEMA_VERSION = 1
MANIFEST = "manifest.json"
MAX_MANIFEST_BYTES = 16 << 20


def require_version(manifest: object) -> None:
    """BundleError unless the manifest is of the version that this trecx reads."""
    version = manifest.get("schema_version") if isinstance(manifest, dict) else None
    if version != SCHEMA_VERSION or isinstance(version, bool):
        raise BundleError(
            f"manifest version {version!r} found, this trecx reads version {SCHEMA_VERSION}; "
            "use the trecx that wrote the bundle, or export it again"
        )


def require_valid(manifest: dict) -> None:
    """BundleError unless the manifest follows its schema and its policies fit its segments."""
    problem = next(problems(manifest, manifest_schema()), None)
    if problem is not None:
        raise BundleError(f"the manifest does not follow its schema: {problem}")
    exits = len(manifest["segments"]) - 1
    if len(manifest["policies"]) != exits:
        raise BundleError(f"{exits} exits and {len(manifest['policies'])} policies")
    try:
        for entry in manifest["policies"]:
            from_manifest(entry)
    except InputError as error:
        raise BundleError(str(error)) from None


@cache
def manifest_schema() -> dict:
    """The JSON schema of manifest.json."""
    return json.loads(Path(__file__).with_name("manifest.schema.json").read_text("utf-8"))
