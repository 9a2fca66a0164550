"""From options, some of which leave it to the method, to the settings of the method."""

from collections.abc import Collection
from dataclasses import asdict, fields, replace
from typing import Any

import msgspec

from toonify.errors import UsageError, display
from toonify.methods import METHODS
from toonify.methods.adversarial import AdversarialSettings
from toonify.methods.gan import GANSettings
from toonify.methods.losses import OBJECTIVES
from toonify.methods.method import ContentSettings, Settings
from toonify.train.options import RunOptions, flag


def method_settings(options: RunOptions) -> Settings:
    """The settings that the options mean; what these leave open is as the objective's and the method's authors had it.

    Raises UsageError for an option that the method does not know, or that would have no effect.
    """
    known = {arch: {field.name for field in fields(method.settings_type)} for arch, method in METHODS.items()}
    method = METHODS[options.method]
    defaults = {field.name: field.default for field in msgspec.structs.fields(options)}
    given = {}
    for name in sorted(set().union(*known.values())):
        value = getattr(options, name, None)
        if value is None:
            continue
        if name not in known[options.method]:
            if value is False and defaults[name] is False:  # as it is when nobody has typed it
                continue
            others = ", ".join(arch for arch in known if name in known[arch] and arch != "distill")
            raise UsageError(f"{flag(name)} is not for {options.method}; it is for {others}")
        given[name] = value
    settings = method.settings_type(**given)
    if isinstance(settings, GANSettings):
        objective = OBJECTIVES[settings.objective]
        if settings.objective != type(settings)().objective:  # whose own authors trained with it in their own way
            settings = replace(settings, **objective.defaults | given)
        if isinstance(settings, AdversarialSettings) and options.start_from is not None and "init_epochs" not in given:
            settings = replace(settings, init_epochs=0)  # what such weights can draw would be lost in it
        if objective.optimizer != "adam" and "beta1" in given:
            raise UsageError(f"--beta1 is Adam's, and --objective {settings.objective} trains with RMSProp; drop it")
    if isinstance(settings, ContentSettings) and not method.needs_features(settings):
        for name in ("content", "content_weights"):
            if name in given:
                either = "--content-weight or --init-epochs; give one of them" * isinstance(
                    settings, AdversarialSettings
                )
                raise UsageError(f"{flag(name)} is for {either or '--content-weight; give that'}, or drop it")
    return settings


def forbidden_changes(made: RunOptions, asked: Collection[str], whole: RunOptions) -> list[str]:
    """The options, as typed, by which a run that goes on would learn otherwise than before.

    `made` are its options, `whole` the same with those in `asked` given anew. What is as the method has it anyway is
    no change.
    """
    if made.method != whole.method:
        return [f"--arch {whole.method} (it has {made.method})"]
    before, after = _effective(made), _effective(whole)
    return [
        f"{flag(name)} {display(str(after[name]))} (it has {display(str(before[name]))})"
        for name in asked
        if name not in made.changeable and before[name] != after[name]
    ]


def _effective(options: RunOptions) -> dict[str, Any]:
    """All options, those that are left to the method as it has them."""
    return {name: getattr(options, name) for name in options.__struct_fields__} | asdict(method_settings(options))
