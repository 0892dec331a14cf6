"""The endpoints; everything they decide is in `service`, `listing`, `logs` and `lifecycle`."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

from pydantic import ValidationError
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route, WebSocketRoute
from starlette.types import ASGIApp
from starlette.websockets import WebSocket

from maquette.emulator import catalogue, logs, models
from maquette.emulator.clock import with_short_dates
from maquette.emulator.database import Job
from maquette.emulator.fault_middleware import FaultMiddleware
from maquette.emulator.faults import Fault
from maquette.emulator.listing import BadQuery, page_of
from maquette.emulator.runtimes import RuntimeUnavailable
from maquette.emulator.service import TENANT, ApiError, Jobs
from maquette.planning.flavors import fallback_table
from maquette.runners.ovh.command_line import command_line

M = TypeVar("M", bound=models.StrictModel)
Endpoint = Callable[[Request], Awaitable[Response]]
NOT_EMULATED = ("registry", "volume", "data")


@dataclass(frozen=True)
class ApiOptions:
    """Details of the API that the service does not document.

    Attributes:
        first_page: Number of the first page of a list, 0 or 1.
        dated_log: Whether log lines begin with a date.
    """

    first_page: int = 0
    dated_log: bool = False


class Api:
    """The service's endpoints."""

    def __init__(self, jobs: Jobs, api: ApiOptions) -> None:
        self._jobs = jobs
        self._database = jobs.service.database
        self._options = api

    def app(self) -> ASGIApp:
        """The application, with faults in front of it."""
        return FaultMiddleware(
            Starlette(routes=self._routes(), lifespan=self._lifespan), self._jobs
        )

    @asynccontextmanager
    async def _lifespan(self, app: Starlette) -> AsyncIterator[None]:
        self._jobs.resume()
        yield
        await self._jobs.detach()

    def _routes(self) -> list[Any]:
        table: list[tuple[str, str, Callable[[Request], Awaitable[Response]]]] = [
            ("POST", "/v1/job", self.create),
            ("GET", "/v1/job", self.list_jobs),
            ("POST", "/v1/job/command", self.command),
            ("GET", "/v1/job/{id}", self.get),
            ("PUT", "/v1/job/{id}", self.change_timeout),
            ("DELETE", "/v1/job/{id}", self.delete),
            ("PUT", "/v1/job/{id}/kill", self.kill),
            ("PUT", "/v1/job/{id}/start", self.start),
            ("PUT", "/v1/job/{id}/label", self.label),
            ("GET", "/v1/job/{id}/log", self.log),
            ("POST", "/v1/job/{id}/datasync", self.datasync),
            ("GET", "/v1/me", self.me),
            ("GET", "/v1/token", self.tokens),
            ("POST", "/v1/token", self.make_token),
            ("GET", "/v1/token/{id}", self.token),
            ("DELETE", "/v1/token/{id}", self.drop_token),
            ("POST", "/v1/token/{id}/renew", self.renew_token),
            ("GET", "/v1/capabilities/flavor", self.flavors),
            ("GET", "/v1/capabilities/flavor/{id}", self.flavor),
            ("GET", "/v1/capabilities/quota", self.me),
            ("GET", "/1.0/order/catalog/public/cloud", self.prices),
            ("GET", "/emulator/faults", self.list_faults),
            ("POST", "/emulator/faults", self.add_fault),
            ("DELETE", "/emulator/faults", self.drop_faults),
            ("GET", "/emulator/bill", self.bill),
        ]
        routes: list[Any] = [
            Route(path, self._guarded(endpoint), methods=[method])
            for method, path, endpoint in table
        ]
        routes.append(WebSocketRoute("/v1/job/{id}/log", self.log_socket))
        for name in NOT_EMULATED:
            for path in (f"/v1/{name}", f"/v1/{name}/{{rest:path}}"):
                routes.append(Route(path, self._guarded(self.not_emulated)))
        return routes

    def _guarded(self, endpoint: Endpoint) -> Endpoint:
        async def guarded(request: Request) -> Response:
            try:
                if request.url.path.startswith("/v1/"):
                    self._authorise(request)
                return await endpoint(request)
            except ApiError as error:
                return JSONResponse({"message": str(error)}, error.status)
            except RuntimeUnavailable as error:
                return JSONResponse({"message": str(error)}, 503)
            except BadQuery as error:
                return JSONResponse({"message": str(error)}, 400)
            except ValidationError as error:
                return JSONResponse({"message": models.sentence(error)}, 400)

        return guarded

    def _authorise(self, request: Request) -> None:
        token = self._token(request.headers.get("authorization", ""))
        request.state.token = token
        path, is_reading = request.url.path, request.method == "GET"
        if token["spec"]["role"] == "ai_training_read" and not (
            path == "/v1/me" or (is_reading and path.startswith("/v1/job"))
        ):
            raise ApiError(403, f"role {token['spec']['role']} may not {request.method} {path}")

    def _token(self, header: str) -> dict[str, Any]:
        scheme, _, secret = header.partition(" ")
        token = self._database.token_of(secret) if scheme.lower() == "bearer" else None
        if token is None:
            raise ApiError(401, "unauthorized: the token is missing, wrong or was deleted")
        return token

    async def create(self, request: Request) -> Response:
        spec = await _body(request, models.JobRequest)
        selector = request.state.token["spec"].get("labelSelector") or ""
        forced = dict([selector.split("=", 1)]) if "=" in selector else {}
        job = self._jobs.create(spec, request.state.token["spec"]["name"], forced)
        return _json(job.public)

    async def list_jobs(self, request: Request) -> Response:
        jobs = list(self._database.jobs.values())
        return _json(page_of(jobs, request.query_params, self._options.first_page))

    async def command(self, request: Request) -> Response:
        spec = await _body(request, models.JobRequest)
        return _json({"command": command_line(spec.to_json())})

    async def get(self, request: Request) -> Response:
        return _json(self._job(request).public)

    async def change_timeout(self, request: Request) -> Response:
        change = await _body(request, models.TimeoutChange)
        job = self._job(request)
        job.public["spec"] |= change.to_json()
        self._database.save(job)
        return Response(status_code=204)

    async def delete(self, request: Request) -> Response:
        force = request.query_params.get("force", "") in ("1", "true")
        await self._jobs.delete(self._job(request), force=force)
        return Response(status_code=204)

    async def kill(self, request: Request) -> Response:
        self._jobs.kill(self._job(request))
        return Response(status_code=204)

    async def start(self, request: Request) -> Response:
        self._jobs.start(self._job(request))
        return Response(status_code=204)

    async def label(self, request: Request) -> Response:
        change = await _body(request, models.LabelChange)
        job = self._job(request)
        if change.value is None:
            job.public["spec"]["labels"].pop(change.name, None)
        else:
            job.public["spec"]["labels"][change.name] = change.value
        self._database.save(job)
        return Response(status_code=204)

    async def log(self, request: Request) -> Response:
        reader = logs.LogReader(self._jobs.service, self._job(request), self._options.dated_log)
        if request.query_params.get("follow") == "true":
            return StreamingResponse(reader.stream(), media_type="text/plain")
        return PlainTextResponse(await reader.selected(request.query_params))

    async def log_socket(self, socket: WebSocket) -> None:
        try:
            self._token(socket.headers.get("authorization", ""))
            job = self._jobs.get(socket.path_params["id"])
        except ApiError as error:
            await socket.close(4000 + error.status, str(error))
            return
        reader = logs.LogReader(self._jobs.service, job, self._options.dated_log)
        await logs.serve(reader, socket, self._jobs.service.clock)

    async def datasync(self, request: Request) -> Response:
        spec = await _body(request, models.DataSyncSpec)
        job = self._job(request)
        begun = self._jobs.synchronise(job, spec.direction, spec.volume or "")
        while len(job.status["dataSync"] or ()) <= begun["before"] and not begun["task"].done():
            await asyncio.sleep(0.005)
        return _json(job.status["dataSync"][begun["before"]])

    async def me(self, request: Request) -> Response:
        token = request.state.token["spec"]
        used = catalogue.used_resources([job.public for job in self._database.live()])
        resources = {
            kind: {"quota": total, "used": used[kind]} for kind, total in self._jobs.quota.items()
        }
        if request.url.path.endswith("/quota"):
            return _json({"resources": resources, "storage": 0})
        return _json(
            {
                "name": token["name"],
                "tenant": TENANT,
                "role": token["role"],
                "tokenKind": "app",
                "trustId": None,
                "quotas": {"resources": self._jobs.quota, "storage": 0},
            }
        )

    async def tokens(self, request: Request) -> Response:
        return _json({"items": [_shown(token) for token in self._database.tokens.values()]})

    async def make_token(self, request: Request) -> Response:
        spec = await _body(request, models.TokenSpec)
        token, secret = self._database.add_token(spec.to_json())
        return _json(_shown(token, secret))

    async def token(self, request: Request) -> Response:
        return _json(_shown(self._one_token(request)))

    async def drop_token(self, request: Request) -> Response:
        del self._database.tokens[self._one_token(request)["id"]]
        self._database.save_tokens()
        return Response(status_code=204)

    async def renew_token(self, request: Request) -> Response:
        old = self._one_token(request)
        token, secret = self._database.add_token(old["spec"])
        del self._database.tokens[old["id"]]
        self._database.save_tokens()
        return _json(_shown(token, secret))

    async def flavors(self, request: Request) -> Response:
        return _json([catalogue.flavor_answer(item) for item in fallback_table().values()])

    async def flavor(self, request: Request) -> Response:
        name = request.path_params["id"]
        if name not in fallback_table():
            raise ApiError(404, f"flavor {name} not found")
        return _json(catalogue.flavor_answer(fallback_table()[name]))

    async def prices(self, request: Request) -> Response:
        return _json(catalogue.price_catalogue())

    async def list_faults(self, request: Request) -> Response:
        return _json([fault.to_json() for fault in self._jobs.service.faults.waiting])

    async def add_fault(self, request: Request) -> Response:
        fault = await _body(request, Fault)
        self._jobs.service.faults.add(fault)
        self._wake()
        return _json(fault.to_json())

    async def drop_faults(self, request: Request) -> Response:
        self._jobs.service.faults.remove(request.query_params.get("id", ""))
        self._wake()
        return Response(status_code=204)

    async def bill(self, request: Request) -> Response:
        return _json([self._jobs.bill(job) for job in self._database.jobs.values()])

    async def not_emulated(self, request: Request) -> Response:
        raise ApiError(501, f"{request.url.path} is not emulated")

    def _job(self, request: Request) -> Job:
        return self._jobs.get(request.path_params["id"])

    def _one_token(self, request: Request) -> dict[str, Any]:
        token = self._database.tokens.get(request.path_params["id"])
        if token is None:
            raise ApiError(404, f"token {request.path_params['id']} not found")
        return token

    def _wake(self) -> None:
        for job in self._database.live():
            job.changed.set()


async def _body(request: Request, model: type[M]) -> M:
    try:
        return model.model_validate_json(await request.body())
    except UnicodeDecodeError:
        raise ApiError(400, "the body is not JSON") from None


def _json(content: Any) -> JSONResponse:
    return JSONResponse(with_short_dates(content))


def _shown(token: dict[str, Any], secret: str = "") -> dict[str, Any]:
    status = {"value": secret} if secret else {}
    return {"id": token["id"], "createdAt": token["createdAt"], "spec": token["spec"],
            "status": status}  # fmt: skip
