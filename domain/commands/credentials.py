"""A link's credentials, sealed in their place."""

import json

from domain.links import Link, SealedCredentials
from domain.ports import App
from domain.sealing import Place, bound_to
from domain.secret import Secrets
from domain.sync import Login


def sealed_login(app: App, link: Link, login: Login, version: int) -> bytes:
    """Opens for this link, as this version alone."""
    plain = json.dumps(dict(login.credentials)).encode()
    place = bound_to(Place.CREDENTIALS, link.user_id, link.id, version=version)
    return app.vault.seal(plain, context=place)


def opened(app: App, link: Link, credentials: SealedCredentials) -> Secrets:
    """What the provider was given for this link, or gave. Raises Unsealable."""
    place = bound_to(Place.CREDENTIALS, link.user_id, link.id, version=credentials.version)
    return Secrets(json.loads(app.vault.open(credentials.sealed, context=place)))
