"""Every route refuses in the shape of its API: wrong methods, wrong types, unknown models, missing keys."""

import pytest
import requests

from program import STORIES
from serving import Server, error_of


@pytest.fixture(scope="module")
def operations(stories_server):
    paths = stories_server.get("/openapi.json").json()["paths"]
    return [(path.replace("{id}", "x"), method.upper(), operation) for path, methods in paths.items() for method, operation in methods.items()]


def check_shape(path, response):
    body = response.json()
    assert response.headers["x-request-id"]
    if path.startswith("/v1/messages"):
        assert body["type"] == "error" and set(body["error"]) == {"type", "message"}
        expected = {401: "authentication_error", 403: "permission_error", 404: "not_found_error", 400: "invalid_request_error", 405: "invalid_request_error"}
        assert body["error"]["type"] == expected[response.status_code]
        return body["error"]["message"]
    if path.startswith("/api/"):
        assert set(body) == {"error"} and isinstance(body["error"], str)
        return body["error"]
    return error_of(response)["message"]


def test_a_wrong_method_is_a_405_with_those_that_are_right(stories_server, operations):
    methods = {}
    for path, method, _ in operations:
        methods.setdefault(path, set()).add(method)
    for path, right in methods.items():
        for method in {"GET", "POST", "PUT", "PATCH", "DELETE"} - right:
            response = requests.request(method, stories_server.url + path, timeout=10)
            if path.startswith("/v1/models/") and method == "GET":
                continue  # {id} takes it
            assert response.status_code == 405, (method, path)
            allowed = set(response.headers["Allow"].split(", "))
            assert right <= allowed and "OPTIONS" in allowed and method not in allowed
            check_shape(path, response)
        options = requests.options(stories_server.url + path, timeout=10)
        assert options.status_code == 204 and right <= set(options.headers["Allow"].split(", "))
        if "GET" in right:
            head, get = requests.head(stories_server.url + path, timeout=10), requests.get(stories_server.url + path, timeout=10)
            assert head.status_code == get.status_code and head.content == b""


def test_an_unknown_model_is_a_404_that_lists_the_others(stories_server, operations):
    for path, method, operation in operations:
        if "requestBody" not in operation or path in ("/v1/models/load", "/v1/models/unload"):
            continue
        takes_list = operation["requestBody"]["content"]["application/json"]["schema"]["type"] == "array"
        response = stories_server.post(path + "?model=nope", []) if takes_list else stories_server.post(path, {"model": "nope"})
        assert response.status_code == 404, (path, response.text)
        assert "stories260K" in check_shape(path, response)
    assert "stories260K" in error_of(stories_server.get("/v1/models/nope"))["message"]
    assert "stories260K" in error_of(stories_server.get("/props?model=nope"))["message"]


def test_a_field_of_a_wrong_type_is_named(stories_server, operations):
    n_checked = 0
    for path, method, operation in operations:
        if "requestBody" not in operation or path.startswith("/v1/models/"):
            continue
        for name, schema in operation["requestBody"]["content"]["application/json"]["schema"].get("properties", {}).items():
            kinds = schema.get("type", [])
            if name == "model" or "string" in kinds or not set(kinds) & {"integer", "number", "boolean"}:
                continue
            response = stories_server.post(path, {name: "x", "model": "stories260K"} if path != "/api/show" else {name: "x", "name": "stories260K"})
            assert response.status_code == 400, (path, name, response.text)
            assert f"'{name}'" in check_shape(path, response), (path, name, response.text)
            if "param" in response.text:
                assert response.json()["error"]["param"] == name and response.json()["error"]["code"] == "invalid_type"
            n_checked += 1
    assert n_checked > 100


def test_without_a_key_every_route_is_a_401_in_its_shape():
    with Server("-m", STORIES, "--api-key", "secret") as server:
        for path, methods in server.get("/openapi.json").json()["paths"].items():
            for method, operation in methods.items():
                for headers in ({}, {"Authorization": "Bearer wrong"}, {"X-Api-Key": "wrong"}):
                    response = requests.request(method, server.url + path.replace("{id}", "x"), headers=headers, timeout=10)
                    if operation.get("security") == []:
                        assert response.status_code == 200
                        continue
                    assert response.status_code == 401 and response.headers["WWW-Authenticate"] == "Bearer", path
                    check_shape(path, response)


def test_models_are_not_loaded_by_everybody(stories_server):
    for path in ("/v1/models/load", "/v1/models/unload"):
        response = stories_server.post(path, {"model": "stories260K"})
        assert response.status_code == 403 and error_of(response)["code"] == "api_key_required"
