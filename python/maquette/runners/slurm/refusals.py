"""Why sbatch refused, in sentences of ours."""

from __future__ import annotations

from maquette.errors import ConfigError, CredentialsError, JobFailed, MaquetteError
from maquette.runners.base import ResponseLost

# Part of what sbatch says → what that means, and what helps.
_CONFIG = {
    "invalid partition": (
        "the cluster has no such partition",
        "`sinfo` lists them: SLURM_OPTIONS=--partition=…",
    ),
    "No partition specified or system default partition": (
        "the cluster has no default partition",
        "`sinfo` lists them: SLURM_OPTIONS=--partition=…",
    ),
    "Memory specification can not be satisfied": (
        "no node has so much memory",
        "`sinfo --format='%P %m'` tells what nodes have",
    ),
    "node configuration is not available": (
        "no node of the partition has what SLURM_OPTIONS asks for",
        "`sinfo --format='%P %c %m %G'` tells the nodes' CPUs, memory and GPUs",
    ),
    "generic resource": (
        "the partition has no such GPU",
        "`sinfo --format='%P %G'` lists them: SLURM_OPTIONS=--gres=gpu:1",
    ),
    "time limit": (
        "the partition does not allow so long a time",
        "`sinfo --format='%P %l'` tells the limits; lower MAX_HOURS",
    ),
    "feature specification": ("no node has this feature", "`sinfo --format='%P %f'` lists them"),
    "option '": ("sbatch does not know an option", "look at SLURM_OPTIONS, and at `man sbatch`"),
    "Invalid": ("Slurm can not read an option", "look at SLURM_OPTIONS, and at `man sbatch`"),
}
_ACCOUNT = {
    "account or account/partition": (
        "this account may not use the partition",
        "`sacctmgr show associations user=$USER` lists yours: SLURM_OPTIONS=--account=…",
    ),
    "violates accounting/QOS policy": (
        "the job is over the limit of the account or its quality of service",
        "`sacctmgr show associations user=$USER` tells the limits; ask for less, or wait",
    ),
    "qos specification": (
        "there is no such quality of service for this account",
        "`sacctmgr show associations user=$USER` lists them: SLURM_OPTIONS=--qos=…",
    ),
    "Access/permission denied": (
        "this person may not submit jobs here",
        "ask the cluster's administrators",
    ),
}
_LOST = ("Socket timed out", "Zero Bytes were transmitted", "Connection timed out")


def refusal(said: str) -> MaquetteError:
    """The error for what sbatch said."""
    detail = f"sbatch: {_tidy(said)}"
    if any(words in said for words in _LOST):
        return ResponseLost(
            "Slurm's answer was lost: the job may be queued", detail=detail,
            hint="run the same command again in a minute: it looks for the job first",
        )  # fmt: skip
    for table, kind in ((_ACCOUNT, CredentialsError), (_CONFIG, ConfigError)):
        for words, (what, hint) in table.items():
            if words.lower() in said.lower():
                return kind(what, detail=detail, hint=hint)
    if "fetch_config" in said or "configuration source" in said:
        return JobFailed(
            "this machine belongs to no Slurm cluster", detail=detail,
            hint="submit from a cluster's login node; without BACKEND the step runs here",
        )  # fmt: skip
    if "Unable to contact" in said or "connect failure" in said:
        return JobFailed(
            "Slurm's controller does not answer: nothing was submitted", detail=detail,
            hint="`scontrol ping` tells whether it is back",
        )  # fmt: skip
    return JobFailed(
        "Slurm refused the job", detail=detail, hint="look at SLURM_OPTIONS, and at `man sbatch`"
    )


def _tidy(said: str) -> str:
    """Its lines in one, without what they all begin with and the advice to read the help."""
    lines = [line.removeprefix("sbatch: ").removeprefix("error: ") for line in said.splitlines()]
    kept = dict.fromkeys(line for line in lines if line and not line.startswith("Try "))
    return "; ".join(kept)[:300]
