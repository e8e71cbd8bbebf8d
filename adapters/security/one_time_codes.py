"""Codes of authenticator apps: TOTP (RFC 6238) as all of them have it, SHA-1, six digits, 30 s."""

import hmac
from datetime import datetime

import pyotp

STEP_S = 30
STEPS_AROUND = 1  # how far a phone's clock may be off, and how long typing may take


class TotpCodes:
    """`seed` is base32, of 160 bits as RFC 4226 §4 recommends."""

    def new_seed(self) -> str:
        return pyotp.random_base32(32)

    def uri(self, seed: str, *, account: str) -> str:
        """What an app reads from a QR code."""
        return pyotp.TOTP(seed).provisioning_uri(name=account, issuer_name="Dashtam")

    def step(self, seed: str, code: str, at: datetime) -> int | None:
        """Of which step around `at` it is the code, the latest; None where of none."""
        codes, now = pyotp.TOTP(seed), int(at.timestamp()) // STEP_S
        around = range(now - STEPS_AROUND, now + STEPS_AROUND + 1)
        said = code.encode()
        fits = [s for s in around if hmac.compare_digest(codes.generate_otp(s).encode(), said)]
        return fits[-1] if fits else None
