"""From options, some of which leave it to the method, to the settings of the method."""

from dataclasses import fields

from toonify.errors import UsageError
from toonify.losses import OBJECTIVES
from toonify.methods import METHODS
from toonify.methods.method import Settings
from toonify.train.options import Options, flag


def method_settings(options: Options) -> Settings:
    """The settings that the options mean; what these leave open is as the objective's and the method's authors had it.

    Raises UsageError for an option that the method does not know.
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
    return made(**objective.defaults | given)
