// The plain page: sign in, ask, and read the answer.

import { ask, signIn, signOut, start, viewer } from "./session.js";

const of = (id) => document.getElementById(id);

function show(who) {
  of("sign-in").hidden = who !== null;
  of("signed-in").hidden = of("sign-out").hidden = who === null;
  of("who").textContent = who ?? "";
}

async function attempt(change) {
  of("refusal").textContent = "";
  let wantsCode = false;
  try {
    show(await change());
    of("answer").textContent = "Nothing was asked yet.";
  } catch (error) {
    of("refusal").textContent = error.message;
    wantsCode = error.wantsCode === true;
  }
  const { code, password } = of("sign-in").elements;
  of("code").hidden = !wantsCode;
  code.value = "";
  if (wantsCode) code.focus();
  else password.value = "";
}

async function run() {
  const answer = of("answer");
  answer.textContent = "…";
  try {
    const variables = JSON.parse(of("variables").value.trim() || "null");
    answer.textContent = JSON.stringify(await ask(of("query").value, variables), null, 2);
  } catch (error) {
    answer.textContent = error.message;
  }
}

of("sign-in").addEventListener("submit", (event) => {
  event.preventDefault();
  const given = new FormData(event.target);
  attempt(() => signIn(given.get("email"), given.get("password"), given.get("code")));
});

of("sign-out").addEventListener("click", () =>
  attempt(async () => {
    await signOut();
    return null;
  }),
);

of("operation").addEventListener("submit", (event) => {
  event.preventDefault();
  run();
});

of("operation").addEventListener("keydown", (event) => {
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) {
    event.preventDefault();
    run();
  }
});

attempt(async () => {
  const first = await start();
  of("query").value = first.query;
  of("sign-in").elements.email.value = first.email ?? "";
  return viewer();
});
