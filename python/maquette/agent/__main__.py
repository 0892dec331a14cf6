"""`python -m maquette.agent --scene DIR --step STEP … -- COMMAND …`."""

from __future__ import annotations

import os
import signal
import sys


def main() -> int:
    """Run the agent, of a job or of a worker job, and return the exit code."""
    signal.signal(
        signal.SIGUSR1, signal.SIG_IGN
    )  # a request to push may come before anybody handles it
    from maquette.agent import arguments
    from maquette.agent.job_run import JobRun
    from maquette.agent.worker_run import WorkerRun
    from maquette.errors import MaquetteError, format_error
    from maquette.scene.events import Progress

    try:
        given = arguments.parse(sys.argv[1:], os.environ)
    except MaquetteError as error:
        print(format_error(error), file=sys.stderr)
        facts = {"what": error.what, "detail": error.detail, "hint": error.hint}
        Progress(None).event("error", code=int(error.exit_code), **facts)
        return int(error.exit_code)
    return WorkerRun(given).run() if given.worker else JobRun(given).run()


if __name__ == "__main__":
    sys.exit(main())
