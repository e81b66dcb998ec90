"""PALs as YAML files in git: what a file declares, what it would change, and the plan that says so. Pure: no I/O."""

from palace.config_files.members import (
    Members,
    declared_members,
    file_name,
    member_patches,
    members_for_file,
    refreshed,
    with_declared,
)
from palace.config_files.plan import Plan, PlanEntry, StalePlan, check_plan, digest, dump_plan, load_plan
from palace.config_files.references import MissingVariables, escaped, missing_variables, resolved

__all__ = [
    "Members",
    "MissingVariables",
    "Plan",
    "PlanEntry",
    "StalePlan",
    "check_plan",
    "declared_members",
    "digest",
    "dump_plan",
    "escaped",
    "file_name",
    "load_plan",
    "member_patches",
    "members_for_file",
    "missing_variables",
    "refreshed",
    "resolved",
    "with_declared",
]
