// What both pages that mails lead to have in common.

const TOKEN = /^[\w-]{43}$/;
const of = (id) => document.getElementById(id);

/** The token of the link, which is taken out of the address; null where there is none. */
function taken() {
  const token = new URLSearchParams(location.search).get("token") ?? "";
  history.replaceState(null, "", location.pathname);
  return TOKEN.test(token) ? token : null;
}

/** What was refused; empty where nothing was. */
async function refusals(documentId, variables, field) {
  let answer;
  try {
    const response = await fetch("/graphql", {
      method: "POST",
      headers: {
        accept: "application/graphql-response+json, application/json;q=0.9",
        "content-type": "application/json",
      },
      credentials: "omit",
      body: JSON.stringify({ documentId, variables }),
    });
    answer = await response.json();
  } catch {
    return [{ message: "the gateway cannot be reached: try again" }];
  }
  return [...(answer.errors ?? []), ...(answer.data?.[field]?.errors ?? [])];
}

const sentence = ({ message }) => `${message.charAt(0).toUpperCase()}${message.slice(1)}.`;

/** What the link's end says of it; undefined where it was refused for something else. */
const END = {
  TOKEN_INVALID: "This link does not work any more: it was used, or a newer one replaced it.",
  TOKEN_EXPIRED: "This link has expired.",
};

/**
 * Shows the form where there is a token, and on its submission asks for `documentId`, which is of the
 * built-in manifest, with what `variables` makes of the token and the form; says what came of it, and where the link is of no use, `another`:
 * how to get one that is.
 */
export function page({ documentId, field, variables, done, another }) {
  const token = taken();
  const form = of("form");
  const useless = (why) => {
    of("refusal").textContent = `${why} ${another}`;
  };
  if (token === null) {
    useless("This link is not complete. Open it from the mail once more.");
    return;
  }
  form.hidden = false;
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const button = form.querySelector("button");
    button.disabled = true;
    of("refusal").textContent = "";
    const refused = await refusals(documentId, variables(token, form), field);
    button.disabled = false;
    const [end] = refused.map(({ code }) => END[code]).filter(Boolean);
    if (end) {
      form.hidden = true;
      useless(end);
      return;
    }
    if (refused.length > 0) {
      of("refusal").textContent = refused.map(sentence).join(" ");
      form.querySelector("input, button").focus();
      return;
    }
    form.hidden = true;
    form.reset();
    of("done").textContent = done;
    of("done").focus();
  });
}
