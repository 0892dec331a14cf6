"""SLURM_OPTIONS: what a person may add to the command line of sbatch; pure."""

from __future__ import annotations

import shlex

from maquette.errors import ConfigError

# What would break a job, and why or what to do instead.
REFUSED = {
    "array": "a step is one job; WORKERS shares a stage's parts among several",
    "job-name": "it holds the job's id, by which a lost job is found again",
    "comment": "it tells what the job is of",
    "output": "the log lies in logs/, beside the job's document",
    "error": "the log lies in logs/, beside the job's document",
    "input": "a step reads nothing from it",
    "open-mode": "a job that starts again goes on with its log",
    "chdir": "all paths of a step are whole",
    "export": "a step gets the environment of this terminal, without keys and tokens",
    "export-file": "a step gets the environment of this terminal, without keys and tokens",
    "get-user-env": "a step gets the environment of this terminal, without keys and tokens",
    "signal": "it is how a step hears that its time ends, in time to save",
    "requeue": "a step that was preempted always goes on",
    "no-requeue": "a step that was preempted always goes on",
    "nodes": "a step is one task on one node; WORKERS uses more of them",
    "ntasks": "a step is one task on one node; WORKERS uses more of them",
    "ntasks-per-node": "a step is one task on one node; WORKERS uses more of them",
    "clusters": "a job is looked up at the cluster that this machine belongs to",
    "hold": "a held job never starts: submit it when it may",
    "parsable": "it is set already",
    "wait": "WAIT=0 returns at once, else the command waits",
    "wrap": "the script is the step's",
    "test-only": "`make plan-process` shows what would be sent",
    "uid": "the job is the person's who submits it",
    "gid": "the job is the person's who submits it",
    "help": "it starts no job",
    "usage": "it starts no job",
    "version": "it starts no job",
}
_TIME = "time"


def parse(given: str, max_hours: float) -> list[str]:
    """The words for sbatch.

    Args:
        max_hours: MAX_HOURS; 0 where it is not set.

    Raises:
        ConfigError: a word that is no long option, or one that would break the job.
    """
    try:
        words = shlex.split(given)
    except ValueError as error:
        raise ConfigError(f"SLURM_OPTIONS can not be read: {error}: `{given}`") from error
    for word in words:
        _check(word, max_hours)
    return words


def asks_for(words: list[str], *names: str) -> bool:
    """Whether one of some options is among them."""
    return any(_name_of(word) in names for word in words)


def _check(word: str, max_hours: float) -> None:
    name = _name_of(word)
    if not name:
        raise ConfigError(
            f"SLURM_OPTIONS: `{word}` is no option in its long form",
            hint="write each as one word, e.g. SLURM_OPTIONS='--partition=gpu --gres=gpu:1'",
        )
    if name == _TIME and max_hours:
        raise ConfigError(
            f"SLURM_OPTIONS: `{word}` and MAX_HOURS={max_hours:g} both limit the job's time",
            hint="leave one out; with --time alone a step queues again at its end, and goes on",
        )
    meant = name if name in REFUSED else _abbreviated(name)
    if meant:
        raise ConfigError(f"SLURM_OPTIONS: `--{meant}` can not be given: {REFUSED[meant]}")


def _name_of(word: str) -> str:
    name = word.partition("=")[0]
    return name[2:] if name.startswith("--") else ""


def _abbreviated(name: str) -> str:
    """The refused option that sbatch would take an unfinished name for; else empty."""
    whole = {"time", "mem", "exclude", "exclusive", "nice", "network", "power", "ntasks-per-gpu"}
    if name in whole:
        return ""
    return next((known for known in REFUSED if known.startswith(name)), "")
