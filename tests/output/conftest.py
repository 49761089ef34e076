"""The JSON schema of SARIF, from the npm packages of CI."""

from __future__ import annotations

import json
import os

import pytest
from jsonschema_rs import Validator, validator_for

from tests.support import CHECKOUT

SCHEMA = CHECKOUT / ".ci/node_modules/@microsoft/sarif-multitool-linux/sarif-2.1.0.json"


@pytest.fixture(scope="session")
def sarif_schema() -> Validator:
    """Skips where the packages are not installed, unless ``PGAUDIT_REQUIRE_NPM`` says that they must be."""
    if not SCHEMA.exists():
        if os.environ.get("PGAUDIT_REQUIRE_NPM"):
            pytest.fail(f"{SCHEMA} is missing")
        pytest.skip("`npm ci --prefix .ci` brings the schema")
    return validator_for(json.loads(SCHEMA.read_text("utf-8")), validate_formats=True)
