"""Slurm's words for a job's state in OVHcloud's, and why a job waits."""

from __future__ import annotations

# Of `squeue --states=all`; what is not here is kept and shown.
STATES = {
    "PENDING": "PENDING",
    "CONFIGURING": "INITIALIZING",
    "RUNNING": "RUNNING",
    "RESIZING": "RUNNING",
    "SIGNALING": "RUNNING",
    "STAGE_OUT": "RUNNING",
    "STOPPED": "RUNNING",
    "SUSPENDED": "RUNNING",
    "COMPLETING": "FINALIZING",
    "REQUEUED": "RESTARTING",
    "REQUEUE_FED": "RESTARTING",
    "REQUEUE_HOLD": "PENDING",
    "RESV_DEL_HOLD": "PENDING",
    "SPECIAL_EXIT": "PENDING",
    "COMPLETED": "DONE",
    "FAILED": "FAILED",
    "OUT_OF_MEMORY": "FAILED",
    "NODE_FAIL": "FAILED",
    "BOOT_FAIL": "FAILED",
    "DEADLINE": "FAILED",
    "TIMEOUT": "FAILED",
    "PREEMPTED": "INTERRUPTED",
    "CANCELLED": "INTERRUPTED",
    "REVOKED": "INTERRUPTED",
}
AGAIN = "run the same command again: it continues"
# Ends that the step could not tell of itself: what happened, and what helps.
ENDS = {
    "OUT_OF_MEMORY": (
        "the step was killed: it needed more memory than the job has",
        "give it more, e.g. SLURM_OPTIONS=--mem=64G; run the same command again: it continues",
    ),
    "NODE_FAIL": ("the job's node failed", AGAIN),
    "BOOT_FAIL": ("the job's node did not start", AGAIN),
    "DEADLINE": ("the job's deadline came before its end", AGAIN),
    "TIMEOUT": ("the time is up: the step was stopped", "raise MAX_HOURS; it continues"),
    "PREEMPTED": ("the job was preempted; the work is saved", AGAIN),
}
# Reasons for which a job waits for ever, or until somebody does something; the start of the word.
_STUCK = {
    "PartitionTimeLimit": "the partition does not allow so long a time: lower MAX_HOURS",
    "PartitionNodeLimit": "the partition has no such nodes: look at `sinfo`",
    "PartitionConfig": "the partition can not give what SLURM_OPTIONS asks for: look at `sinfo`",
    "PartitionDown": "the partition is down: look at `sinfo`",
    "PartitionInactive": "the partition is inactive: look at `sinfo`",
    "ReqNodeNotAvail": "the nodes that could run it are down or reserved: look at `sinfo`",
    "BadConstraints": "no node has what SLURM_OPTIONS asks for: look at `sinfo`",
    "JobHeldUser": "it is held: `scontrol release` lets it start",
    "JobHeldAdmin": "an administrator holds it",
    "Assoc": "the limit of the account is reached: look at `sacctmgr show associations`",
    "QOS": "the limit of the quality of service is reached: look at `sacctmgr show qos`",
    "AccountNotAllowed": "the partition does not take this account: SLURM_OPTIONS=--account=…",
    "InvalidAccount": "there is no such account: SLURM_OPTIONS=--account=…",
    "InvalidQOS": "there is no such quality of service: SLURM_OPTIONS=--qos=…",
}


def waiting(word: str) -> str:
    """A sentence about why a job waits.

    Args:
        word: Slurm's reason.
    """
    if word in ("", "None"):
        return "waits in the queue"
    told = next((text for start, text in _STUCK.items() if word.startswith(start)), "")
    return f"waits in the queue: {word}" + (f"; {told}" if told else "")
