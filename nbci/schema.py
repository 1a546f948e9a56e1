"""Read the JSON Schemas that come with nbci, and explain how a document violates one."""

from __future__ import annotations

import functools
import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from nbci.errors import nearest
from nbci.light_imports import lean_import

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from jsonschema.exceptions import ValidationError

_MEANT = {
    "min": "at_least",
    "minimum": "at_least",
    "above": "at_least",
    "threshold": "at_least",
    "ge": "at_least",
    "gte": "at_least",
    "max": "at_most",
    "maximum": "at_most",
    "below": "at_most",
    "le": "at_most",
    "lte": "at_most",
    "eq": "equals",
    "equal": "equals",
    "value": "equals",
    "range": "between",
    "max_decrease": "max_drop",
    "max_increase": "max_rise",
    "depends_on": "after",
    "needs": "after",
    "prev": "after",
    "inputs": "deps",
    "outputs": "outs",
    "parameters": "params",
    "image": "container",
    "if": "when",
}
"""The keys of nbci's files, by the names that other tools have for them."""

_FOUND = {
    dict: "a mapping",
    list: "a list",
    str: "text",
    bool: "true or false",
    type(None): "nothing",
}
_WANTED = {
    "object": "a mapping",
    "array": "a list",
    "string": "text",
    "integer": "a whole number",
    "number": "a number",
    "boolean": "true or false",
    "null": "null",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Violation:
    """One thing wrong in a document.

    `path` has the keys and indexes that lead there, `message` says what is wrong, `suggestion` is
    the spelling that was probably meant. `about` says whether the value at `path` is wrong, its key
    is, or something is missing in it.
    """

    path: tuple[str | int, ...]
    message: str
    suggestion: str | None = None
    about: Literal["value", "key", "missing"] = "value"

    def __str__(self) -> str:
        if not self.suggestion:
            return self.message
        return f"{self.message} (did you mean {self.suggestion!r}?)"


@functools.cache
def load(name: str) -> dict[str, Any]:
    """The schema in `schemas/NAME.schema.json`, of the checkout or of the installed package."""
    here = Path(__file__).parent
    installed = here / "schemas"
    folder = here.parent / "schemas"
    # The wheel carries the schemas inside the package; a checkout has them beside it.
    if installed.is_dir():
        folder = installed

    text = (folder / f"{name}.schema.json").read_text(encoding="utf-8")
    schema: dict[str, Any] = json.loads(text)
    return schema


def violations(document: Any, schema_name: str) -> tuple[Violation, ...]:
    """Everything in `document` that the schema does not allow; mappings must have text as keys."""
    # The import of jsonschema takes longer than the quick look, which most documents pass.
    if is_fine(document, schema_name):
        return ()
    jsonschema = lean_import("jsonschema")
    validator = _thorough_look(jsonschema)(load(schema_name))

    found: list[Violation] = []
    for error in validator.iter_errors(document):
        found += _explain(error)
    # Several rules of a schema may find the same mistake.
    return tuple(dict.fromkeys(found))


@functools.cache
def _thorough_look(jsonschema: Any) -> Any:
    """The validator of jsonschema, except that `$` in a pattern matches only at the very end.

    Python's `$` also matches before a final newline.
    """

    def pattern(validator: Any, rule: str, instance: Any, schema: Any) -> Iterator[ValidationError]:
        if isinstance(instance, str) and re.search(rule.replace("$", r"\Z"), instance) is None:
            yield jsonschema.ValidationError(f"{instance!r} does not match {rule!r}")

    return jsonschema.validators.extend(jsonschema.Draft202012Validator, {"pattern": pattern})


def is_fine(document: Any, schema_name: str) -> bool:
    """Whether a quick look finds nothing that the schema does not allow.

    What it does find may be allowed all the same.
    """
    import fastjsonschema

    try:
        _quick_look(schema_name)(document)
    except fastjsonschema.JsonSchemaValueException:
        return False
    return True


@functools.cache
def _quick_look(name: str) -> Callable[[Any], Any]:
    """A validator that stops at the first violation.

    It is much faster than the one that explains all violations.
    """
    import fastjsonschema

    look: Callable[[Any], Any] = fastjsonschema.compile(
        load(name), use_default=False, detailed_exceptions=False
    )
    return look


def _explain(error: ValidationError) -> list[Violation]:
    path = tuple(error.absolute_path)
    rule, instance = _rule_and_instance(error)

    match error.validator:
        case "additionalProperties":
            return _unknown_keys(error, path)
        case "required":
            return _missing_keys(rule, instance, path)
        case "enum":
            known = list(map(_as_written, rule))
            message = f"expected {_join_with_or(known)}, found {_shorten(instance)}"
            suggestion = nearest(str(instance), known)
            return [Violation(path=path, message=message, suggestion=suggestion)]
        case "type" | "minItems" | "maxItems" | "minProperties" | "minLength":
            message = f"expected {_describe_rule(error)}, found {_describe_value(instance)}"
            return [Violation(path=path, message=message)]
        case "pattern":
            return [_explain_pattern(error, path)]
        case _:
            return [Violation(path=path, message=error.message)]


def _rule_and_instance(error: ValidationError) -> tuple[Any, Any]:
    """What the schema demands, and the value that it was demanded of.

    Here they are Any: by jsonschema's types, either may be missing.
    """
    return error.validator_value, error.instance


def _missing_keys(
    required: list[str], instance: Any, path: tuple[str | int, ...]
) -> list[Violation]:
    found = []
    # jsonschema reports one error for each missing key, and each has the whole list as its rule:
    # `violations` drops the repetitions.
    for key in required:
        if key not in instance:
            found.append(Violation(path=path, message=f"{key!r} is missing", about="missing"))
    return found


def _unknown_keys(error: ValidationError, path: tuple[str | int, ...]) -> list[Violation]:
    known: dict[str, Any] = {}
    # By the types of jsonschema, a schema may be True or False, which has no properties.
    if isinstance(error.schema, dict):
        known = error.schema.get("properties", {})
    _, instance = _rule_and_instance(error)
    # A key that is there already cannot be the one that was meant.
    unused = [name for name in known if name not in instance]

    found = []
    for key in instance:
        if key not in known:
            message = f"unknown key {key!r}"
            suggestion = _suggest_key(key, unused)
            found.append(
                Violation(path=(*path, key), about="key", message=message, suggestion=suggestion)
            )
    return found


def _suggest_key(key: str, known: list[str]) -> str | None:
    same = _MEANT.get(key.lower().replace("-", "_"))
    if same in known:
        return same
    return nearest(key, known)


def _explain_pattern(error: ValidationError, path: tuple[str | int, ...]) -> Violation:
    rule, instance = _rule_and_instance(error)
    if "propertyNames" in error.absolute_schema_path:
        message = f"{instance!r} is no name for this: {_name_rule(str(rule))}"
        return Violation(path=(*path, str(instance)), message=message, about="key")
    if isinstance(error.schema, dict) and error.schema.get("title") == "Duration":
        return Violation(
            path=path, message=f"{instance!r} is no duration: write 90s, 30m, 2h or 1h30m"
        )
    return Violation(path=path, message=f"{instance!r} does not match {rule}")


def _name_rule(pattern: str) -> str:
    """In words what a pattern of names in the schemas allows."""
    if pattern.startswith("^[A-Za-z_]"):
        return "use letters, digits and _, not a digit first"
    return "use lower-case letters, digits, - and _, a letter, digit or _ first"


def _describe_rule(error: ValidationError) -> str:
    limit, _ = _rule_and_instance(error)
    if error.validator == "type":
        # JSON Schema allows one type, or a list of them.
        types = limit
        if isinstance(limit, str):
            types = [limit]
        return _join_with_or([_WANTED[name] for name in types])
    # The schemas use minLength only to refuse an empty text.
    if error.validator == "minLength":
        return "text"

    noun = "entries"
    if limit == 1:
        noun = "entry"
    bound = "least"
    if error.validator == "maxItems":
        bound = "most"
    return f"at {bound} {limit} {noun}"


def _describe_value(value: Any) -> str:
    match value:
        case None:
            return _FOUND[type(None)]
        case "":
            return "an empty text"
        case list() if not value:
            return "an empty list"
        case dict() if not value:
            return "an empty mapping"
        case list() | dict():
            return f"{_FOUND[type(value)]} ({len(value)})"
        case _:
            kind = _FOUND.get(type(value), "a number")
            return f"{kind} ({_shorten(value)})"


def _join_with_or(names: list[str]) -> str:
    if len(names) == 1:
        return names[0]
    return f"{', '.join(names[:-1])} or {names[-1]}"


def _as_written(value: Any) -> str:
    """A value as a file has it, without quotes: `true`, where Python writes True."""
    if isinstance(value, str):
        return value
    return json.dumps(value)


def _shorten(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False, default=str)
    if len(text) <= 60:
        return text
    return text[:57] + "..."
