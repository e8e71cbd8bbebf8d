import { useState } from "react";

import { signIn, signOut } from "../../gateway/routes/pages/session.js";

/** The bar on top: who is signed in, or a form to do so. */
export function Account({ who, suggested, onChange }) {
  const [refusal, setRefusal] = useState(null);
  const [busy, setBusy] = useState(false);
  const [wantsCode, setWantsCode] = useState(false);

  async function attempt(change) {
    setBusy(true);
    setRefusal(null);
    try {
      onChange(await change());
      setWantsCode(false);
    } catch (error) {
      setRefusal(error.message);
      setWantsCode(error.wantsCode === true);
    } finally {
      setBusy(false);
    }
  }

  function enter(event) {
    event.preventDefault();
    const given = new FormData(event.target);
    const { code } = event.target.elements;
    if (code) code.value = ""; // good once
    attempt(() => signIn(given.get("email"), given.get("password"), given.get("code")));
  }

  async function leave() {
    await signOut();
    return null;
  }

  return (
    <header className="account" aria-busy={busy}>
      <h1>Dashtam</h1>
      <p role="alert">{refusal}</p>
      {who === null ? (
        <form aria-label="Sign in" onSubmit={enter}>
          <label>
            Address
            <input name="email" type="email" autoComplete="username" required defaultValue={suggested} />
          </label>
          <label>
            Password
            <input name="password" type="password" autoComplete="current-password" required />
          </label>
          {wantsCode && (
            <label>
              Code
              <input name="code" autoComplete="one-time-code" autoCapitalize="none" spellCheck="false" autoFocus />
            </label>
          )}
          <button disabled={busy}>Sign in</button>
        </form>
      ) : (
        <>
          <p role="status">
            Signed in as <strong>{who}</strong>
          </p>
          <button type="button" disabled={busy} onClick={() => attempt(leave)}>
            Sign out
          </button>
        </>
      )}
    </header>
  );
}
