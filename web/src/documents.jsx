import { useEffect, useState } from "react";

import { runById } from "./fetcher.js";
import { useNewTab } from "./tabs.js";

async function read(path) {
  const response = await fetch(path);
  const answer = await response.json();
  if (!response.ok) throw new Error(answer.errors[0].message);
  return answer;
}

function Documents() {
  const [listed, setListed] = useState(null);
  const [problem, setProblem] = useState(null);
  const newTab = useNewTab();
  const failed = (error) => setProblem(error.message);
  useEffect(() => {
    read("/graphiql/documents.json").then(setListed, failed);
  }, []);

  async function open({ sha256 }) {
    const { text } = await read(`/graphiql/documents/${sha256}.json`);
    runById(text, `sha256:${sha256}`); // their own ids may be another text's in another version
    newTab(text);
  }

  return (
    <section className="ours" aria-label="Published documents">
      <h2>Published documents</h2>
      <p role="alert">{problem}</p>
      {listed !== null && <p>In a tab of its own each runs by its id, until you change its text.</p>}
      {byVersion(listed?.documents ?? []).map(([whose, documents]) => (
        <section key={whose} aria-label={whose}>
          <h3>{whose}</h3>
          <ul>
            {documents.map((document) => (
              <li key={document.id}>
                <button type="button" disabled={!document.runs} onClick={() => open(document).catch(failed)}>
                  {document.name ?? "Without a name"}
                </button>
                <code title={document.id}>{document.id}</code>
                {!document.runs && <p>Does not fit this schema.</p>}
              </li>
            ))}
          </ul>
        </section>
      ))}
      {listed?.documents.length === 0 && <p>Nothing is published.</p>}
      {listed?.leftOut > 0 && <p>And {listed.leftOut} more.</p>}
    </section>
  );
}

function byVersion(documents) {
  const found = new Map();
  for (const document of documents) {
    const whose = `${document.client} ${document.version}`;
    found.set(whose, [...(found.get(whose) ?? []), document]);
  }
  return [...found];
}

function Icon() {
  return (
    <svg viewBox="0 0 24 24" fill="none" stroke="currentColor" strokeWidth="1.5" aria-hidden="true">
      <path d="M6 3h8l4 4v14H6z M14 3v4h4 M9 13l2 2 4-4" strokeLinecap="round" strokeLinejoin="round" />
    </svg>
  );
}

export const DOCUMENTS_PLUGIN = { title: "Published documents", icon: Icon, content: Documents };
