"""A small OpenID Connect provider of this computer: it asks who one is, believes it, and keeps to the protocol otherwise."""

from __future__ import annotations

import base64
import hashlib
import secrets
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlencode

import uvicorn
from joserfc import jwt
from joserfc.jwk import RSAKey
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from tests.houses import free_port, wait_until

CLIENT, SECRET = "dropviz", "a secret between the two of them"
PEOPLE = ("ada", "bob")


class Provider:
    """Where accounts live; serves at ``url`` while it is entered."""

    def __init__(self) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.key = RSAKey.generate_key(2048, {"kid": "1"})
        self.asked: dict[str, dict[str, str]] = {}  # code → what was asked for, and who came

    def app(self) -> Starlette:
        """Its addresses."""
        return Starlette(
            routes=[
                Route("/.well-known/openid-configuration", self._described),
                Route("/authorize", self._door),
                Route("/come", self._come),
                Route("/token", self._token, methods=["POST"]),
                Route("/keys", self._keys),
                Route("/leave", self._leave),
            ]
        )

    async def _described(self, _: Request) -> Response:
        description: dict[str, Any] = {
            name: f"{self.url}/{path}"
            for name, path in {
                "authorization_endpoint": "authorize",
                "token_endpoint": "token",
                "jwks_uri": "keys",
                "end_session_endpoint": "leave",
            }.items()
        }
        description |= {"issuer": self.url, "response_types_supported": ["code"]}
        description |= {"subject_types_supported": ["public"], "code_challenge_methods_supported": ["S256"]}
        return JSONResponse(description | {"id_token_signing_alg_values_supported": ["RS256"]})

    async def _door(self, request: Request) -> Response:
        asked = dict(request.query_params)
        assert asked["client_id"] == CLIENT
        links = [f'<p><a href="/come?{urlencode(asked | {"who": who})}">{who}</a></p>' for who in PEOPLE]
        refusal = urlencode({"error": "access_denied", "state": asked["state"]})
        links.append(f'<p><a href="{asked["redirect_uri"]}?{refusal}">nobody</a></p>')
        return HTMLResponse(f"<h1>Who are you?</h1>{''.join(links)}")

    async def _come(self, request: Request) -> Response:
        code, asked = secrets.token_hex(8), dict(request.query_params)
        self.asked[code] = asked
        return RedirectResponse(
            f"{asked['redirect_uri']}?{urlencode({'code': code, 'state': asked['state']})}"
        )

    async def _token(self, request: Request) -> Response:
        form = await request.form()
        asked = self.asked.pop(str(form["code"]))
        basic = base64.b64encode(f"{CLIENT}:{SECRET}".encode()).decode()
        challenge = hashlib.sha256(str(form["code_verifier"]).encode()).digest()
        proven = base64.urlsafe_b64encode(challenge).decode().rstrip("=") == asked["code_challenge"]
        if request.headers.get("authorization") != f"Basic {basic}" or not proven:
            return JSONResponse({"error": "invalid_client"}, 401)
        now, who = int(time.time()), asked["who"]
        claims = {"iss": self.url, "aud": CLIENT, "sub": f"number of {who}", "iat": now, "exp": now + 600}
        claims |= {"nonce": asked["nonce"], "name": who.title(), "email": f"{who}@example.org"}
        token = jwt.encode({"alg": "RS256", "kid": "1"}, claims, self.key)
        return JSONResponse({"access_token": "unused", "token_type": "Bearer", "id_token": token})

    async def _keys(self, _: Request) -> Response:
        return JSONResponse({"keys": [self.key.as_dict(private=False)]})

    async def _leave(self, request: Request) -> Response:
        return RedirectResponse(request.query_params["post_logout_redirect_uri"])


@contextmanager
def providing() -> Iterator[Provider]:
    """A provider for the length of a block, in a thread of this process."""
    provider = Provider()
    server = uvicorn.Server(
        uvicorn.Config(provider.app(), host="127.0.0.1", port=provider.port, log_level="warning")
    )
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    try:
        wait_until(lambda: server.started, "the provider listens")
        yield provider
    finally:
        server.should_exit = True
        thread.join(20)
