import "graphiql/setup-workers/vite";
import "graphiql/style.css";
import "./page.css";

import { GraphiQL, HISTORY_PLUGIN } from "graphiql";
import { parse, print } from "graphql";
import { createClient } from "graphql-ws";
import { useEffect, useMemo, useState } from "react";
import { createRoot } from "react-dom/client";

import { start, viewer } from "../../gateway/routes/pages/session.js";
import { Account } from "./account.jsx";
import { COST_PLUGIN } from "./cost.jsx";
import { DOCUMENTS_PLUGIN } from "./documents.jsx";
import { EXAMPLES_PLUGIN } from "./examples.jsx";
import { fetcherOf } from "./fetcher.js";
import { tell } from "./report.js";

const HTTP = new URL("/graphql", location.href);
const SOCKET = new URL(HTTP);
SOCKET.protocol = HTTP.protocol === "https:" ? "wss:" : "ws:";

const PLUGINS = [HISTORY_PLUGIN, EXAMPLES_PLUGIN, DOCUMENTS_PLUGIN];

function Page({ first, whoAtFirst }) {
  const [who, setWho] = useState(whoAtFirst);
  return (
    <>
      <Account who={who} suggested={first.email} onChange={setWho} />
      <main>
        {/* Another person starts afresh: no answer of the one before stays on the screen, and
            the schema is asked for again by whoever may see it. */}
        <Workbench key={who} query={print(parse(first.query))} reports={first.reports} />
      </main>
    </>
  );
}

function Workbench({ query, reports }) {
  const sockets = useMemo(() => createClient({ url: SOCKET.href }), []);
  useEffect(() => () => void sockets.dispose(), [sockets]);
  useEffect(() => () => tell(null), []);
  const fetcher = useMemo(() => fetcherOf(HTTP.href, sockets, reports), [sockets, reports]);
  const plugins = useMemo(() => (reports ? [...PLUGINS, COST_PLUGIN] : PLUGINS), [reports]);
  return (
    <GraphiQL
      fetcher={fetcher}
      plugins={plugins}
      defaultQuery={query}
      defaultEditorToolsVisibility="variables"
      shouldPersistHeaders={false}
    />
  );
}

async function open() {
  const root = createRoot(document.getElementById("root"));
  try {
    const [first, who] = await Promise.all([start(), viewer()]);
    root.render(<Page first={first} whoAtFirst={who} />);
  } catch (error) {
    root.render(<p role="alert">The gateway does not answer: {error.message}</p>);
  }
}

open();
