"""From options, some of which leave it to the method, to the settings of the method."""

from collections.abc import Collection
from dataclasses import asdict, fields
from typing import Any

from toonify.errors import UsageError, display
from toonify.losses import OBJECTIVES
from toonify.methods import METHODS
from toonify.methods.method import Settings
from toonify.train.options import CHANGEABLE, Options, flag


def method_settings(options: Options) -> Settings:
    """The settings that the options mean; what these leave open is as the objective's and the method's authors had it.

    Raises UsageError for an option that the method does not know, or that would have no effect.
    """
    known = {arch: {field.name for field in fields(method.settings_type)} for arch, method in METHODS.items()}
    made = METHODS[options.arch].settings_type
    given = {}
    for name in sorted(set().union(*known.values())):
        value = getattr(options, name)
        if value is None:
            continue
        if name not in known[options.arch]:
            others = ", ".join(arch for arch in known if name in known[arch])
            raise UsageError(f"{flag(name)} is not for {options.arch}; it is for {others}")
        given[name] = value
    objective = OBJECTIVES[given.get("objective", made().objective)]
    settings = made(**objective.defaults | given)
    if not (settings.init_epochs or settings.content_weight):
        for name in ("content", "content_weights"):
            if name in given:
                raise UsageError(f"{flag(name)} is for --content-weight or --init-epochs; give one of them, or drop it")
    if objective.optimiser != "adam" and "beta1" in given:
        raise UsageError(f"--beta1 is Adam's, and --objective {settings.objective} trains with RMSProp; drop it")
    return settings


def forbidden_changes(made: Options, asked: Collection[str], whole: Options) -> list[str]:
    """The options, as typed, by which a run that goes on would learn otherwise than before.

    `made` are its options, `whole` the same with those in `asked` given anew. What is as the method has it anyway is
    no change.
    """
    if made.arch != whole.arch:
        return [f"--arch {whole.arch} (it has {made.arch})"]
    before, after = _effective(made), _effective(whole)
    return [
        f"{flag(name)} {display(str(after[name]))} (it has {display(str(before[name]))})"
        for name in asked
        if name not in CHANGEABLE and before[name] != after[name]
    ]


def _effective(options: Options) -> dict[str, Any]:
    """All options, those that are left to the method as it has them."""
    return {name: getattr(options, name) for name in options.__struct_fields__} | asdict(method_settings(options))
