// Who is signed in, by the gateway's own GraphQL: a cookie that no script can read.

const ENDPOINT = "/graphql";

const VIEWER = "{ viewer { email } }";
const SIGN_IN = `mutation SignIn($email: String!, $password: String!) {
  signIn(input: {email: $email, password: $password, delivery: COOKIE}) {
    viewer { email }
    errors { message }
  }
}`;
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

/** The address of whoever is now signed in; throws an Error that says why not. */
export async function signIn(email, password) {
  return (await payload(SIGN_IN, "signIn", { email, password })).viewer.email;
}

export async function signOut() {
  await payload(SIGN_OUT, "signOut");
}

async function payload(mutation, field, variables) {
  const answer = await ask(mutation, variables);
  const refused = [...(answer.errors ?? []), ...(answer.data?.[field]?.errors ?? [])];
  if (refused.length > 0) {
    throw new Error(refused.map((error) => error.message).join("; "));
  }
  return answer.data[field];
}
