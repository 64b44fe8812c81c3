"""What the contract leaves to each language: parameters that are written down once, and one object for all functions.

All that a schedule may ask of the run is in the modules that componentize-py makes of the contract:
`wit_world.imports.run`, `.training` and `.images`.
"""

import json

import wit_world
from wit_world.imports import run

FUNCTIONS = ("init", "learning_rate", "momentum", "weight_decay", "save", "restore", "parameters")


class Schedule:
    """Base of `WitWorld`: however often one is made, they are the same object.

    componentize-py makes one for each exported function, and these are to share what they keep. It does so as it builds
    the plugin: `__init__` has no run to ask yet.
    """

    def __init_subclass__(cls):
        # Else a function that world.wit leaves out would never be called, and nothing would say so.
        for name in FUNCTIONS:
            exported = name in vars(wit_world.WitWorld)
            if exported != hasattr(cls, name):
                has, lacks = ("world.wit", "WitWorld") if exported else ("WitWorld", "world.wit")
                raise TypeError(f"{has} has `{name}`, and {lacks} does not")

    def __new__(cls):
        if "only" not in vars(cls):
            cls.only = super().__new__(cls)
        return cls.only


class Number:
    """A parameter that is a number; `choices` are names for 0, 1, 2, … that a study may write instead."""

    def __init__(self, default: float, doc: str, choices: tuple[str, ...] = ()):
        self.declaration = {"default": default, "doc": doc, "choices": choices}

    def __set_name__(self, owner, name):
        self.name = name

    def __get__(self, parameters, owner=None):
        if parameters is None:
            return self
        value = run.param(self.name, self.declaration["default"])
        # It stays the same for a whole run: the next access finds this, and asks no more.
        vars(parameters)[self.name] = value
        return value


class Family:
    """A numbered family of parameters: its value for 1 is the study's number for `name_1`, or None."""

    def __init__(self, doc: str):
        self.declaration = {"doc": doc}

    def __set_name__(self, owner, name):
        self.stem, self.name = name, f"{name}_*"

    def __get__(self, parameters, owner=None):
        return self if parameters is None else self.member

    def member(self, number: int) -> float | None:
        value = run.param(f"{self.stem}_{number}", float("nan"))
        return value if value == value else None


class Picture:
    """A parameter that names a picture. Its value is what `Image.open` wants: the parameter's own name."""

    def __init__(self, doc: str):
        self.declaration = {"kind": "picture", "doc": doc}

    def __set_name__(self, owner, name):
        self.name = name

    def __get__(self, parameters, owner=None):
        return self if parameters is None else self.name


class Parameters:
    """Base of a class whose attributes are the plugin's parameters."""

    def declared(self) -> str:
        """What the plugin's `parameters` returns."""
        attributes = vars(type(self)).values()
        parameters = [p for p in attributes if isinstance(p, Number | Family | Picture)]
        return json.dumps([{"name": p.name, **p.declaration} for p in parameters])
