"""What the doctor says of mail, to a real server."""

from pathlib import Path

from gateway.doctor.finding import Finding
from gateway.doctor.mail import sent
from gateway.settings import Mode, Settings
from tests.mail.servers import a_mail_server


async def of(mode: Mode, url: str | None, folder: Path) -> Finding:
    settings = Settings(
        mode=mode,
        smtp_url=url,
        mail_from="dashtam@example.com",
        data_dir=folder,
        public_url="https://money.example.com",
    )
    [finding] = [finding async for finding in sent(settings)]
    return finding


async def test_production_without_a_server_works_but_nobody_registers(tmp_path: Path) -> None:
    finding = await of(Mode.PRODUCTION, None, tmp_path)

    assert (finding.word, "DASHTAM_SMTP_URL" in str(finding.mend)) == ("note", True)


async def test_development_says_where_its_mails_are(tmp_path: Path) -> None:
    finding = await of(Mode.DEVELOPMENT, None, tmp_path)

    assert (finding.word, str(tmp_path / "mail") in finding.what) == ("ok", True)


async def test_a_server_is_asked_whether_it_lets_us_in(tmp_path: Path) -> None:
    async with a_mail_server() as taken:
        there = await of(Mode.PRODUCTION, f"smtp://127.0.0.1:{taken.port}", tmp_path)
        stranger = await of(Mode.PRODUCTION, f"smtp://me:secret@127.0.0.1:{taken.port}", tmp_path)
    gone = await of(Mode.PRODUCTION, f"smtp://127.0.0.1:{taken.port}", tmp_path)
    nowhere = await of(Mode.PRODUCTION, "smtp:mail", tmp_path)

    assert there.word == "ok"
    assert [finding.word for finding in (stranger, gone, nowhere)] == ["bad"] * 3
    assert "secret" not in f"{stranger}"
    assert taken.mails == []
