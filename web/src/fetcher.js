import { createGraphiQLFetcher } from "@graphiql/toolkit";
import { getOperationAST } from "graphql";

import { askedForFile, sendWithFiles, uploadsOf } from "./files.js";
import { tell } from "./report.js";

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
    const operation = options.documentAST && getOperationAST(options.documentAST, asked.operationName);
    if (!operation) return plain(asked, options); // GraphiQL's own question for the schema
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
