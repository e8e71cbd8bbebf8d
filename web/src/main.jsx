import "graphiql/setup-workers/vite";
import "graphiql/style.css";
import "./page.css";

import { createGraphiQLFetcher } from "@graphiql/toolkit";
import { GraphiQL } from "graphiql";
import { parse, print } from "graphql";
import { createClient } from "graphql-ws";
import { useEffect, useMemo, useState } from "react";
import { createRoot } from "react-dom/client";

import { start, viewer } from "../../gateway/pages/session.js";
import { Account } from "./account.jsx";

const HTTP = new URL("/graphql", location.href);
const SOCKET = new URL(HTTP);
SOCKET.protocol = HTTP.protocol === "https:" ? "wss:" : "ws:";

function Page({ first, whoAtFirst }) {
  const [who, setWho] = useState(whoAtFirst);
  return (
    <>
      <Account who={who} suggested={first.email} onChange={setWho} />
      <main>
        {/* Another person starts afresh: no answer of the one before stays on the screen, and
            the schema is asked for again by whoever may see it. */}
        <Workbench key={who} query={print(parse(first.query))} />
      </main>
    </>
  );
}

function Workbench({ query }) {
  const sockets = useMemo(() => createClient({ url: SOCKET.href }), []);
  useEffect(() => () => void sockets.dispose(), [sockets]);
  const fetcher = useMemo(
    () =>
      createGraphiQLFetcher({
        url: HTTP.href,
        wsClient: sockets,
        enableIncrementalDelivery: false,
      }),
    [sockets],
  );
  return <GraphiQL fetcher={fetcher} defaultQuery={query} shouldPersistHeaders={false} />;
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
