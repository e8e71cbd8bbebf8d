import { useReport } from "./report.js";

const count = new Intl.NumberFormat("en");
const ms = (duration) => `${duration.toFixed(1)} ms`;

function CostAndSql() {
  const report = useReport();
  return (
    <section className="ours" aria-label="Cost and SQL">
      <h2>Cost and SQL</h2>
      {report === null ? <p>Of the last operation, once there is one.</p> : <Report {...report} />}
    </section>
  );
}

function Report({ name, id, isSubscription, cost, sql, sqlLeftOut }) {
  return (
    <>
      <p>
        <strong>{name ?? "Without a name"}</strong>
        {id && (
          <>
            {", run by its id "}
            <code title={id}>{id}</code>
          </>
        )}
      </p>
      {isSubscription && (
        <p>
          A subscription is not reported on: a browser's socket has no headers to ask by. Its events
          are charged for like queries.
        </p>
      )}
      {!isSubscription && !cost && <p>It was refused before it ran.</p>}
      {cost && <Cost {...cost} />}
      {sql && <Statements sql={sql} leftOut={sqlLeftOut} />}
    </>
  );
}

function Cost({ requested, actual, limit, remaining, resetAt }) {
  const points = { Requested: requested, Actual: actual, Limit: limit, Remaining: remaining };
  return (
    <table aria-label="Cost">
      <tbody>
        {Object.entries(points).map(([what, figure]) => (
          <tr key={what}>
            <th scope="row">{what}</th>
            <td>{count.format(figure)}</td>
          </tr>
        ))}
        <tr>
          <th scope="row">All there again</th>
          <td>{new Date(resetAt).toLocaleTimeString("en-GB")}</td>
        </tr>
      </tbody>
    </table>
  );
}

function Statements({ sql, leftOut }) {
  const all = sql.reduce((sum, { durationMs }) => sum + durationMs, 0);
  return (
    <>
      <h3>
        {sql.length + leftOut} {sql.length + leftOut === 1 ? "statement" : "statements"}, {ms(all)}
      </h3>
      <ol aria-label="Statements">
        {sql.map(({ statement, durationMs, rows }, index) => (
          <li key={index}>
            <p>
              {ms(durationMs)}, {count.format(rows)} {rows === 1 ? "row" : "rows"}
            </p>
            <pre tabIndex={0}>{statement}</pre>
          </li>
        ))}
      </ol>
      {leftOut > 0 && <p>And {leftOut} more, which are not told.</p>}
    </>
  );
}

function Icon() {
  return (
    <svg viewBox="0 0 24 24" fill="none" stroke="currentColor" strokeWidth="1.5" aria-hidden="true">
      <path d="M4 19a9 9 0 1 1 16 0 M12 15l4-6" strokeLinecap="round" />
      <circle cx="12" cy="15" r="1.5" />
    </svg>
  );
}

export const COST_PLUGIN = { title: "Cost and SQL", icon: Icon, content: CostAndSql };
