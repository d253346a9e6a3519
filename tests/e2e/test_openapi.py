"""The OpenAPI document, and schemathesis, which makes requests of it: no answer may be a failure of the server or differ from what is documented."""

import os
import subprocess
import sys

import pytest

import tiny_bert
from program import STORIES
from serving import Server

schemathesis = pytest.importorskip("schemathesis")
KEY = "secret"
# /slots/{id} is left out, since it answers 501. Beside these, schemathesis would hold that whatever a schema allows is answered: but a prompt may be too long, and a model has no template.
CHECKS = "not_a_server_error,status_code_conformance,content_type_conformance,response_headers_conformance,response_schema_conformance,negative_data_rejection,unsupported_method,ignored_auth"


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """One model of each kind, behind a key."""
    path = tmp_path_factory.mktemp("bert") / "bert.gguf"
    tiny_bert.write(path)
    with Server("-m", STORIES, "-m", path, "-c", "64", "--chat-format", "chatml", "--api-key", KEY) as server:
        yield server


@pytest.fixture(scope="module")
def document(server):
    return server.get("/openapi.json").json()


def run_schemathesis(server, folder, *options, timeout):
    done = subprocess.run([sys.executable, "-m", "schemathesis.cli", "run", f"{server.url}/openapi.json", "-H", f"Authorization: Bearer {KEY}", "--checks", CHECKS,
                           "--exclude-path", "/slots/{id}", "--generation-database", "none", "--no-color", "--continue-on-failure", "--request-timeout", "60", "--seed", "1", *options],
                          capture_output=True, text=True, timeout=timeout, cwd=folder, env={**os.environ, "SCHEMATHESIS_COVERAGE": "false"})
    assert done.returncode == 0, done.stdout[-20_000:] + done.stderr[-2000:]
    assert server.get("/health").status_code == 200
    return done.stdout


def test_every_route_is_documented_with_its_answers(document):
    for path in ("/v1/models", "/v1/models/{id}", "/v1/models/load", "/v1/models/unload", "/metrics", "/health", "/ready", "/props", "/slots", "/slots/{id}", "/v1/responses",
                 "/v1/embeddings", "/v1/rerank", "/v1/messages", "/v1/messages/count_tokens", "/infill", "/api/tags", "/api/ps", "/api/version", "/openapi.json", "/docs"):
        assert path in document["paths"], path
    schemas = document["components"]["schemas"]
    for path, methods in document["paths"].items():
        for operation in methods.values():
            good = operation["responses"]["200"]["content"]
            for content_type, each in good.items():
                if content_type == "application/json":
                    assert each["schema"]["$ref"].rsplit("/", 1)[1] in schemas
            if path not in ("/health", "/ready", "/docs", "/openapi.json"):
                assert {"401", "403", "404"} <= set(operation["responses"]) and "security" not in operation
            else:
                assert operation["security"] == []
    assert set(document["components"]["securitySchemes"]) == {"bearer", "header"}


def test_a_field_is_documented_with_its_range(document):
    body = document["paths"]["/v1/chat/completions"]["post"]["requestBody"]["content"]["application/json"]["schema"]
    assert (body["properties"]["temperature"]["minimum"], body["properties"]["temperature"]["maximum"]) == (0, 2)
    assert body["required"] == ["messages"]


def test_requests_made_of_the_document_are_answered_as_it_says(server, tmp_path):
    run_schemathesis(server, tmp_path, "--phases", "examples,coverage,fuzzing", "--max-examples", "3", "--no-shrink", "--max-time", "40", timeout=240)


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_many_requests_made_of_the_document_are_answered_as_it_says(server, tmp_path):
    run_schemathesis(server, tmp_path, "--phases", "examples,coverage,fuzzing,stateful", "--max-examples", "150", "--max-time", "600", timeout=1100)
