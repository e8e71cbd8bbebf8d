// Files of an operation, sent as its multipart form has them:
// https://github.com/jaydenseric/graphql-multipart-request-spec

/** The names of the variables of an operation that are files. */
export function uploadsOf(operation) {
  return operation.variableDefinitions
    .filter(({ type }) => (type.kind === "NonNullType" ? type.type : type).name?.value === "Upload")
    .map(({ variable }) => variable.name.value);
}

/** One that the person at the browser chooses; throws an Error where they do not. */
export function askedForFile() {
  return new Promise((resolve, reject) => {
    const input = document.createElement("input");
    input.type = "file";
    input.addEventListener("change", () => resolve(input.files[0]));
    input.addEventListener("cancel", () => reject(new Error("No file was chosen.")));
    input.click();
  });
}

/** The JSON answer to an operation whose files are all this one. */
export async function sendWithFiles(url, asked, headers, names, file) {
  const none = Object.fromEntries(names.map((name) => [name, null]));
  const places = Object.fromEntries(names.map((name, index) => [index, [`variables.${name}`]]));
  const form = new FormData();
  form.append("operations", JSON.stringify({ ...asked, variables: { ...asked.variables, ...none } }));
  form.append("map", JSON.stringify(places));
  names.forEach((_, index) => form.append(String(index), file));
  const accept = "application/graphql-response+json, application/json;q=0.9";
  const response = await fetch(url, { method: "POST", headers: { accept, ...headers }, body: form });
  return response.json();
}
