import { useNewTab } from "./tabs.js";

// Vite reads these arguments before anything runs.
const texts = import.meta.glob("../examples/*.graphql", {
  query: "?raw",
  import: "default",
  eager: true,
});
const variables = import.meta.glob("../examples/*.json", {
  query: "?raw",
  import: "default",
  eager: true,
});

/** In the order of their files; the first line of each says what it is for. */
const EXAMPLES = Object.entries(texts)
  .sort(([one], [other]) => one.localeCompare(other))
  .map(([path, text]) => ({
    name: path.match(/\d+-(\w+)\.graphql$/)[1].replace(/\B[A-Z]/g, (capital) => ` ${capital.toLowerCase()}`),
    about: text.split("\n", 1)[0].replace(/^# /, ""),
    text,
    variables: variables[path.replace(".graphql", ".json")],
  }));

function Examples() {
  const open = useNewTab();
  return (
    <section className="ours" aria-label="Examples">
      <h2>Examples</h2>
      <ul>
        {EXAMPLES.map((example) => (
          <li key={example.name}>
            <button type="button" onClick={() => open(example.text, example.variables)}>
              {example.name}
            </button>
            <p>{example.about}</p>
          </li>
        ))}
      </ul>
    </section>
  );
}

function Icon() {
  return (
    <svg viewBox="0 0 24 24" fill="none" stroke="currentColor" strokeWidth="1.5" aria-hidden="true">
      <path d="M4 5h16M4 10h10M4 15h16M4 20h7" strokeLinecap="round" />
    </svg>
  );
}

export const EXAMPLES_PLUGIN = { title: "Examples", icon: Icon, content: Examples };
