import { createGraphiQLFetcher } from "@graphiql/toolkit";
import { getOperationAST } from "graphql";

import { askedForFile, sendWithFiles, uploadsOf } from "./files.js";
import { tell } from "./report.js";

// Of the built-in manifest: GraphiQL's own text would run nowhere but where any text does.
const INTROSPECTION = { name: "IntrospectionQuery", id: "sha256:89f98b956c121896b724a381ad0bcf4fc2d173fa53d94e3cc0a2bffb8cbdfecd" };
const REPORTS = { "Dashtam-Cost": "report", "Dashtam-SQL": "report" };
const published = new Map(); // the text of a document to its id

/** From here on a tab with just this text asks by this id. */
export function runById(text, id) {
  published.set(text, id);
}

/** GraphiQL's way to the gateway. With `reports` each answer says what it took, for the panel. */
export function fetcherOf(url, sockets, reports) {
  const plain = createGraphiQLFetcher({
    url,
    wsClient: sockets,
    enableIncrementalDelivery: false,
  });
  return async (asked, options = {}) => {
    const { documentAST } = options; // of what somebody wrote, if it is a document
    if (!documentAST && asked.operationName === INTROSPECTION.name)
      return plain({ documentId: INTROSPECTION.id }, options);
    const operation = documentAST && getOperationAST(documentAST, asked.operationName);
    if (!operation) return plain(asked, options);
    const id = published.get(asked.query);
    const sent = id ? { ...asked, query: undefined, documentId: id } : asked;
    const about = { name: operation.name?.value ?? null, id };
    if (operation.operation === "subscription") {
      if (reports) tell({ ...about, isSubscription: true });
      return plain(sent, options);
    }
    const headers = { ...(reports ? REPORTS : {}), ...options.headers };
    const uploads = uploadsOf(operation);
    const answer =
      uploads.length > 0
        ? await sendWithFiles(url, sent, headers, uploads, await askedForFile())
        : await plain(sent, { ...options, headers });
    return reports ? told(about, answer) : answer;
  };
}

/** The answer without what the panel shows of it. */
function told(about, answer) {
  const { cost, sql, sqlLeftOut = 0, ...others } = answer.extensions ?? {};
  tell({ ...about, cost, sql, sqlLeftOut });
  const { extensions, ...shown } = answer;
  return Object.keys(others).length > 0 ? { ...shown, extensions: others } : shown;
}
