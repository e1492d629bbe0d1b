"""Checks of the families and providers of installed packages."""

from collections.abc import Iterator

from muses_eval.flows.doctor.check import Check
from muses_eval.pipeline.families.family_package import installed_families
from muses_eval.pipeline.providers import installed_providers


def package_checks() -> Iterator[Check]:
    """Yields a check for each family and provider of an installed package."""
    families, providers = installed_families(), installed_providers()
    for name, package in families.objects.items():
        added = (("columns", [column.name for column in package.columns]), ("views", list(package.views)))
        parts = [f"{what} {', '.join(names)}" for what, names in added if names]
        details = (families.plugins[name].label, *parts, package.documentation)
        yield Check(f"family {name}", True, " · ".join(filter(None, details)))
    for name, provider in providers.objects.items():
        facts = (providers.plugins[name].label, f"format {provider.wire_format}", provider.base_url)
        yield Check(f"provider {name}", True, " · ".join(filter(None, facts)))
    for what, problems in (("family", families.problems), ("provider", providers.problems)):
        yield from (Check(f"{what} {name}", False, problem) for name, problem in problems.items())
