// Events, cut off and gone on with, by three clients: graphql-ws by the cursor of the last event,
// graphql-sse and EventSource by its id.
import { EventSource } from "eventsource";
import { createClient as createSse } from "graphql-sse";
import { createClient as createWs } from "graphql-ws";
import WebSocket from "ws";
import { say, told } from "./wire.mjs";

const EVENTS = `subscription Events($after: String) {
  events(categories: [SYNC, PORTFOLIO], after: $after) {
    id cursor name ... on SyncEvent { run { id } }
  }
}`;
const SYNC = `mutation { sync(input: { force: true, waitSeconds: 20 }) { runs { id status } } }`;
const bearer = { authorization: `Bearer ${told.token}` };
const json = { ...bearer, "content-type": "application/json" };
const ws = createWs({
  url: told.url.replace("http", "ws"),
  webSocketImpl: WebSocket,
  connectionParams: bearer,
  retryAttempts: 0,
});

async function synced() {
  const body = JSON.stringify({ query: SYNC });
  const answer = await fetch(told.url, { method: "POST", headers: json, body });
  return (await answer.json()).data.sync.runs[0].id;
}
const isEnd = (event, run) => event.name === "sync.completed" && event.run.id === run;

/** What comes after the cursor, to the end of the run. */
async function overSocket(after, run) {
  const events = [];
  for await (const { data, errors } of ws.iterate({ query: EVENTS, variables: { after } })) {
    if (errors) throw new Error(JSON.stringify(errors));
    events.push(data.events);
    if (isEnd(data.events, run)) return events;
  }
}

/** Every `cut` events the connection breaks; the client comes back by what it saw last. */
async function overStream(after, run, cut) {
  const events = [];
  let lastId;
  let connections = 0;
  for (;;) {
    connections += 1;
    const headers = lastId ? { ...bearer, "last-event-id": lastId } : bearer;
    const client = createSse({ url: told.url, headers, retryAttempts: 0 });
    let seen = 0;
    for await (const { data, errors } of client.iterate({ query: EVENTS, variables: { after } })) {
      if (errors) throw new Error(JSON.stringify(errors));
      events.push(data.events);
      lastId = data.events.cursor;
      seen += 1;
      if (isEnd(data.events, run)) return { events, connections };
      if (seen === cut) break;
    }
  }
}

/** A body that is over after so many results, wherever its chunks end. */
function cutAfter(count) {
  const [decoder, encoder] = [new TextDecoder(), new TextEncoder()];
  let [text, left] = ["", count];
  return new TransformStream({
    transform(chunk, controller) {
      text += decoder.decode(chunk, { stream: true });
      while (left > 0 && text.includes("\n\n")) {
        const end = text.indexOf("\n\n") + 2;
        const message = text.slice(0, end);
        text = text.slice(end);
        controller.enqueue(encoder.encode(message));
        if (message.includes("event: next")) left -= 1;
      }
      if (left === 0) controller.terminate();
    },
  });
}

/** As a browser has it: it is EventSource that comes back, after `retry`, with Last-Event-ID. */
function overEventSource(after, run, cut) {
  const body = JSON.stringify({ query: EVENTS, variables: { after } });
  const events = [];
  const sent = [];
  const source = new EventSource(told.url, {
    fetch: async (url, init) => {
      const headers = { ...json, ...init.headers };
      sent.push(headers["Last-Event-ID"] ?? null);
      const answer = await fetch(url, { ...init, method: "POST", headers, body });
      const whole = sent.length > 1 ? answer.body : answer.body.pipeThrough(cutAfter(cut));
      return new Response(whole, { status: answer.status, headers: answer.headers });
    },
  });
  return new Promise((resolve, reject) => {
    source.addEventListener("next", ({ data, lastEventId }) => {
      const result = JSON.parse(data);
      if (result.errors) reject(new Error(data));
      const event = result.data.events;
      events.push({ ...event, isNamed: lastEventId === event.cursor });
      if (!isEnd(event, run)) return;
      source.close();
      resolve({ events, sent });
    });
  });
}

// Until one is heard, nobody knows whether the subscription has begun; then two runs more.
const live = ws.iterate({ query: EVENTS });
let begun = false;
const first = live.next().finally(() => (begun = true));
do await synced();
while (!begun);
const { cursor } = (await first).value.data.events;
await synced();
const run = await synced();
const heard = [];
for await (const { data } of live) {
  heard.push(data.events);
  if (isEnd(data.events, run)) break;
}
const found = { live: heard };
found.socket = await overSocket(cursor, run);
found.stream = await overStream(cursor, run, 2);
found.eventSource = await overEventSource(cursor, run, 2);
await ws.dispose();
say(found);
