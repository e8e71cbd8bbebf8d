// Who is signed in, by the gateway's own GraphQL: a cookie that no script can read.

const ENDPOINT = "/graphql";

const VIEWER = "{ viewer { email } }";
const SIGN_IN = `mutation SignIn($email: String!, $password: String!, $code: String) {
  signIn(input: {email: $email, password: $password, code: $code, delivery: COOKIE}) {
    viewer { email }
    errors { code message }
  }
}`;
const OF_THE_CODE = ["MFA_REQUIRED", "MFA_FAILED"];
const SIGN_OUT = "mutation SignOut { signOut { signedOut errors { message } } }";

/** The JSON answer of one operation, errors included; throws an Error where there is none. */
export async function ask(query, variables) {
  const response = await fetch(ENDPOINT, {
    method: "POST",
    headers: {
      accept: "application/graphql-response+json, application/json;q=0.9",
      "content-type": "application/json",
    },
    body: JSON.stringify({ query, variables }),
  });
  try {
    return await response.json();
  } catch {
    throw new Error(`The gateway answered with status ${response.status} and no JSON.`);
  }
}

/** What a page opens with: the first query, and in development the demo user's address. */
export async function start() {
  return (await fetch("/graphiql/start.json")).json();
}

/** The address of whoever the cookie belongs to; null signed out. */
export async function viewer() {
  return (await ask(VIEWER)).data?.viewer?.email ?? null;
}

/**
 * The address of whoever is now signed in; throws an Error that says why not, and whose `wantsCode`
 * says that it is only for the code of the second factor.
 */
export async function signIn(email, password, code) {
  const answer = await ask(SIGN_IN, { email, password, code: code || null });
  return unrefused(answer, "signIn").viewer.email;
}

/** Nobody is signed in then; a session that had ended elsewhere needs no ending. */
export async function signOut() {
  const answer = await ask(SIGN_OUT);
  if (answer.errors?.every((error) => error.extensions?.code === "UNAUTHENTICATED")) return;
  unrefused(answer, "signOut");
}

function unrefused(answer, field) {
  const refused = [...(answer.errors ?? []), ...(answer.data?.[field]?.errors ?? [])];
  if (refused.length > 0) {
    const refusal = new Error(refused.map((error) => error.message).join("; "));
    refusal.wantsCode = refused.every((error) => OF_THE_CODE.includes(error.code));
    throw refusal;
  }
  return answer.data[field];
}
