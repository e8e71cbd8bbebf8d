// What a page can have a browser send to another origin. Both exports run in that page.

/** One after another, in frames and by script: the names of those that were tried, and what the
 * page got to see. */
export async function inPage({ gateway, own, pair, password, other }) {
  const SIGN_OUT = "cac3af50e59047cdac79dbc74c9e6e11c1ecb0f3ad9761a5afc3f711f2680934";
  const shapes = [];
  const read = [];
  const mutations = [
    (mark) => `mutation { createManualAccount(input: {name: "${mark}", type: CHECKING, currency: "USD", balance: "1.00"}) { account { id } } }`,
    () => `mutation { updateSettings(input: {timeZone: "Pacific/Apia"}) { viewer { timeZone } } }`,
    () => `mutation { deleteViewer(password: "${password}") { errors { code } } }`,
  ];
  const marked = (name) => `/graphql?shape=${pair}.${name}`;
  const mutation = (name) => mutations[shapes.length % mutations.length](`${pair}.${name}`);
  const json = (name) => JSON.stringify({ query: mutation(name) });
  const byUrl = (name, query = mutation(name)) =>
    `${gateway}${marked(name)}&query=${encodeURIComponent(query)}`;
  const viewer = (name) => byUrl(name, "{ viewer { email } }");
  const hop = (status, to) => `${own}/hop?status=${status}&to=${encodeURIComponent(to)}`;
  const until = (arm, limit = 3_000) =>
    new Promise((done) => {
      setTimeout(done, limit);
      arm(done);
    });

  async function shape(name, send) {
    await send(name);
    shapes.push(name);
  }

  // ── by fetch ──────────────────────────────────────────────────────────────
  async function fetched(name, options, address = gateway + marked(name)) {
    await shape(name, async () => {
      try {
        const response = await fetch(address, { method: "POST", credentials: "include", ...options });
        const text = await response.text();
        if (text !== "") read.push(`${name}: ${text}`);
      } catch (error) {
        if (!(error instanceof TypeError)) throw error; // the browser would not, or the gateway
      }
    });
  }
  const simple = { mode: "no-cors" };
  const typed = (type) => ({ headers: { "content-type": type } });
  const formOf = (name) => new URLSearchParams({ query: mutation(name) });
  function multipart(name) {
    const form = new FormData();
    form.append("operations", json(name));
    form.append("map", "{}");
    return form;
  }
  await fetched("no-cors text", { ...simple, body: json("no-cors text") });
  await fetched("no-cors form", { ...simple, body: formOf("no-cors form") });
  await fetched("no-cors multipart", { ...simple, body: multipart("no-cors multipart") });
  await fetched("no-cors blob", { ...simple, body: new Blob([json("no-cors blob")]) });
  const buffer = new TextEncoder().encode(json("no-cors buffer"));
  await fetched("no-cors buffer", { ...simple, body: buffer });
  const blob = new Blob([json("no-cors json blob")], { type: "application/json" });
  await fetched("no-cors json blob", { ...simple, body: blob });
  for (const type of [
    "text/plain; application/json",
    "text/plain; charset=application/json",
    "application/x-www-form-urlencoded; application/json",
    "multipart/form-data; boundary=application/json",
  ]) {
    await fetched(`no-cors ${type}`, { ...simple, ...typed(type), body: json(`no-cors ${type}`) });
  }
  await fetched("no-cors keepalive", { ...simple, keepalive: true, body: json("no-cors keepalive") });
  await fetched("no-cors get", { ...simple, method: "GET" }, byUrl("no-cors get"));
  await fetched("no-cors head", { ...simple, method: "HEAD" }, byUrl("no-cors head"));
  const signInForm = multipart("no-cors sign-in");
  const signIn = `mutation { signIn(input: {email: "${other.email}", password: "${other.password}", delivery: COOKIE}) { errors { code } } }`;
  signInForm.set("operations", JSON.stringify({ query: signIn }));
  await fetched("no-cors sign-in", { ...simple, body: signInForm });
  const signOut = `${gateway}/graphql/sha256:${SIGN_OUT}?shape=${pair}.`;
  await fetched("sign-out by path", { ...simple, body: "{}" }, `${signOut}sign-out by path`);
  await fetched("sign-out without a body", simple, `${signOut}sign-out without a body`);
  await fetched("cors text", { body: json("cors text") });
  await fetched("cors json", { ...typed("application/json"), body: json("cors json") });
  await fetched("cors get", { method: "GET" }, viewer("cors get"));
  await fetched("cors get by header", { method: "GET", headers: { "x-requested-with": "x" } }, viewer("cors get by header"));
  for (const method of ["PUT", "DELETE", "PATCH", "QUERY"]) {
    await fetched(`cors ${method}`, { method, body: json(`cors ${method}`) });
  }
  for (const status of [307, 308]) {
    const name = `no-cors ${status}`;
    await fetched(name, { ...simple, body: json(name) }, hop(status, gateway + marked(name)));
    const twice = `cors ${status} twice`;
    const chain = hop(status, hop(status, viewer(twice)));
    await fetched(twice, { method: "GET" }, chain);
  }

  // ── by beacon ─────────────────────────────────────────────────────────────
  async function beacon(name, body) {
    await shape(name, () => void navigator.sendBeacon(gateway + marked(name), body));
  }
  await beacon("beacon text", json("beacon text"));
  await beacon("beacon form", formOf("beacon form"));
  await beacon("beacon multipart", multipart("beacon multipart"));
  await beacon("beacon blob", new Blob([json("beacon blob")]));
  await beacon("beacon json", new Blob([json("beacon json")], { type: "application/json" }));

  // ── by element ────────────────────────────────────────────────────────────
  async function element(name, tag, attributes) {
    await shape(name, () =>
      until((done) => {
        const made = Object.assign(document.createElement(tag), attributes);
        made.onload = made.onerror = made.onloadedmetadata = () => {
          if (tag === "script" || tag === "iframe") see(name, made);
          done();
        };
        document.body.append(made);
      }),
    );
  }
  function see(name, made) {
    const text = made.contentDocument?.body?.innerText;
    if (text) read.push(`${name}: ${text}`);
  }
  await element("img", "img", { src: byUrl("img") });
  await element("script", "script", { src: viewer("script") });
  await element("stylesheet", "link", { rel: "stylesheet", href: viewer("stylesheet") });
  await element("iframe", "iframe", { src: viewer("iframe") });
  await element("object", "object", { data: viewer("object") });
  await element("video", "video", { src: byUrl("video") });
  await element("with credentials", "img", { crossOrigin: "use-credentials", src: viewer("with credentials") });
  await shape("worker", () =>
    until((done) => {
      const text = `fetch(${JSON.stringify(gateway + marked("worker"))}, {
        method: "POST", mode: "no-cors", credentials: "include", body: ${JSON.stringify(json("worker"))}
      }).finally(() => postMessage(""))`;
      new Worker(URL.createObjectURL(new Blob([text]))).onmessage = done;
    }),
  );

  // ── by form, into a frame ─────────────────────────────────────────────────
  async function form(name, { fields, action = gateway + marked(name), frameOf = own, ...attributes }) {
    await shape(name, () =>
      until((done) => {
        const frame = Object.assign(document.createElement("iframe"), { name: `frame of ${name}` });
        const made = Object.assign(document.createElement("form"), {
          method: "post",
          target: frame.name,
          action,
          ...attributes,
        });
        for (const [field, value] of Object.entries(fields)) {
          made.append(Object.assign(document.createElement("input"), { name: field, value }));
        }
        document.body.append(frame, made);
        frame.onload = () => {
          see(name, frame);
          done();
        };
        made.submit();
      }),
    );
  }
  const text = (name) => {
    const [head, tail] = [json(name).slice(0, -1), ', "operationName": null, "extensions": {"a": "'];
    return { [head + tail]: '"}}' };
  };
  const shapeOf = (name) => `${pair}.${name}`; // what a form adds replaces the query of its action
  await form("form get", {
    method: "get",
    fields: { shape: shapeOf("form get"), query: mutation("form get") },
  });
  await form("form urlencoded", { fields: { query: mutation("form urlencoded") } });
  await form("form multipart", {
    enctype: "multipart/form-data",
    fields: { operations: json("form multipart"), map: "{}" },
  });
  await form("form text", { enctype: "text/plain", fields: text("form text") });
  await form("form _method", { fields: { _method: "QUERY", query: mutation("form _method") } });
  await form("form get _method", {
    method: "get",
    fields: { shape: shapeOf("form get _method"), _method: "POST", query: mutation("form get _method") },
  });
  await form("form 307", {
    enctype: "text/plain",
    action: hop(307, gateway + marked("form 307")),
    fields: text("form 307"),
  });
  await form("form 308 multipart", {
    enctype: "multipart/form-data",
    action: hop(308, hop(307, gateway + marked("form 308 multipart"))),
    fields: { operations: json("form 308 multipart"), map: "{}" },
  });

  // ── from nowhere: a sandboxed frame, whose Origin is null ─────────────────
  await shape("sandboxed", () =>
    until((done) => {
      const frame = document.createElement("iframe");
      frame.sandbox = "allow-scripts allow-forms";
      frame.srcdoc = `<script>
        fetch(${JSON.stringify(gateway + marked("sandboxed"))}, {
          method: "POST", mode: "no-cors", credentials: "include", body: ${JSON.stringify(json("sandboxed"))}
        }).finally(() => parent.postMessage("", "*"));
      </script>`;
      window.addEventListener("message", done, { once: true });
      document.body.append(frame);
    }),
  );

  // ── streams ───────────────────────────────────────────────────────────────
  await shape("websocket", () =>
    until((done) => {
      const address = gateway.replace("http", "ws") + marked("websocket");
      const socket = new WebSocket(address, "graphql-transport-ws");
      const say = (message) => socket.send(JSON.stringify(message));
      socket.onopen = () => say({ type: "connection_init" });
      socket.onmessage = ({ data }) => {
        read.push(`websocket: ${data}`);
        say({ id: "1", type: "subscribe", payload: { query: mutation("websocket") } });
      };
      socket.onclose = done;
    }),
  );
  await shape("event source", () =>
    until((done) => {
      const events = "subscription { events { name } }";
      const source = new EventSource(byUrl("event source", events), { withCredentials: true });
      source.onopen = () => read.push("event source: it was opened");
      source.onerror = () => {
        source.close();
        done();
      };
    }),
  );
  await shape("event source of a mutation", () =>
    until((done) => {
      const source = new EventSource(byUrl("event source of a mutation"), { withCredentials: true });
      source.onerror = () => {
        source.close();
        done();
      };
    }),
  );
  return { shapes, read };
}

/** Top-level navigations, to which a Lax cookie goes from anywhere where they are GETs. Each is
 * given the gateway's address with the mark in it, and a mutation. */
export const popups = {
  "open": ({ address, query }) => void window.open(`${address}&query=${encodeURIComponent(query)}`),
  "open without referrer": ({ address, query }) => {
    const made = document.createElement("a");
    Object.assign(made, { href: `${address}&query=${encodeURIComponent(query)}`, target: "_blank", rel: "opener", referrerPolicy: "no-referrer" });
    document.body.append(made);
    made.click();
  },
  "top form get": ({ address, query }) => {
    const made = Object.assign(document.createElement("form"), { target: "_blank", rel: "opener", action: address });
    for (const [name, value] of [...new URL(address).searchParams, ["query", query]]) {
      made.append(Object.assign(document.createElement("input"), { name, value }));
    }
    document.body.append(made);
    made.submit();
  },
  "top form post": ({ address, query }) => {
    const made = Object.assign(document.createElement("form"), { method: "post", target: "_blank", rel: "opener", action: address });
    made.append(Object.assign(document.createElement("input"), { name: "query", value: query }));
    document.body.append(made);
    made.submit();
  },
  "top form text": ({ address, query }) => {
    const made = Object.assign(document.createElement("form"), { method: "post", enctype: "text/plain", target: "_blank", rel: "opener", action: address });
    const name = JSON.stringify({ query }).slice(0, -1) + ', "extensions": {"a": "';
    made.append(Object.assign(document.createElement("input"), { name, value: '"}}' }));
    document.body.append(made);
    made.submit();
  },
  "top redirect": ({ address, own, query }) => {
    const to = `${address}&query=${encodeURIComponent(query)}`;
    void window.open(`${own}/hop?status=302&to=${encodeURIComponent(to)}`);
  },
};
