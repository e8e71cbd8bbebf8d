// Who is signed in, by the gateway's own GraphQL: a cookie that no script can read.

const ENDPOINT = "/graphql";

// Of the built-in manifest, so that they run where only published documents do.
const VIEWER = "sha256:710ad7d07e68e62a7c7b1e5876adf1487d667e9149bdf383f4ca1edb32d0e217";
const SIGN_IN = "sha256:8adb08883c3ae04dcaabb41a9efe197ea736c99009383a4bdd32b2a6b35fc477";
const SIGN_OUT = "sha256:cac3af50e59047cdac79dbc74c9e6e11c1ecb0f3ad9761a5afc3f711f2680934";
const OF_THE_CODE = ["MFA_REQUIRED", "MFA_FAILED"];

/** The JSON answer of one operation, errors included; throws an Error where there is none. */
export async function ask(query, variables) {
  return post({ query, variables });
}

async function post(asked) {
  const response = await fetch(ENDPOINT, {
    method: "POST",
    headers: {
      accept: "application/graphql-response+json, application/json;q=0.9",
      "content-type": "application/json",
    },
    body: JSON.stringify(asked),
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
  return (await post({ documentId: VIEWER })).data?.viewer?.email ?? null;
}

/**
 * The address of whoever is now signed in; throws an Error that says why not, and whose `wantsCode`
 * says that it is only for the code of the second factor.
 */
export async function signIn(email, password, code) {
  const input = { email, password, code: code || null, delivery: "COOKIE" };
  const answer = await post({ documentId: SIGN_IN, variables: { input } });
  return unrefused(answer, "signIn").viewer.email;
}

/** Nobody is signed in then; a session that had ended elsewhere needs no ending. */
export async function signOut() {
  const answer = await post({ documentId: SIGN_OUT });
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
