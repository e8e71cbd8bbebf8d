// graphql-eslint's recommended rules, on our schema and on the operations of the mobile example; on
// stdout JSON of what was found there, and in two texts that the rules forbid. Each exception says
// which part of the contract it follows.
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import graphqlPlugin from "@graphql-eslint/eslint-plugin";
import { ESLint } from "eslint";
import { buildSchema, isObjectType } from "graphql";

const ROOT = fileURLToPath(new URL("../../../", import.meta.url));
const SCHEMA = `${ROOT}schema/schema.graphql`;
const OPERATIONS = `${ROOT}tests/conformance/mobile/operations/*.graphql`;
const recommended = (name) => graphqlPlugin.configs[`flat/${name}`].rules;

const values = Object.values(buildSchema(readFileSync(SCHEMA, "utf8")).getTypeMap())
  .filter((type) => isObjectType(type) && !type.name.startsWith("__"))
  .filter((type) => !type.getInterfaces().some((of) => of.name === "Node"))
  .map((type) => type.name);

const parsed = (rules) => ({
  languageOptions: {
    parser: graphqlPlugin.parser,
    parserOptions: { graphQLConfig: { schema: SCHEMA, documents: OPERATIONS } },
  },
  plugins: { "@graphql-eslint": graphqlPlugin },
  rules,
});

const config = [
  {
    files: ["**/schema.graphql"],
    ...parsed({
      ...recommended("schema-recommended"),
      ...recommended("schema-relay"),
      // Money, payloads and refusals are values: identity is what implementing Node says.
      "@graphql-eslint/strict-id-in-types": ["error", { exceptions: { types: values } }],
      // The only directive is @oneOf, which is the GraphQL specification's.
      "@graphql-eslint/require-description": ["error", { types: true, rootField: true }],
      // Lists go forward only.
      "@graphql-eslint/relay-arguments": ["error", { includeBoth: false }],
      // Short lists are plain lists, and a connection has `nodes` beside its `edges`.
      "@graphql-eslint/relay-edge-types": ["error", { listTypeCanWrapOnlyEdgeType: false }],
    }),
  },
  { files: ["**/operations/*.graphql"], ...parsed(recommended("operations-recommended")) },
];

const eslint = new ESLint({ cwd: ROOT, overrideConfigFile: true, overrideConfig: config });
const files = await eslint.lintFiles([SCHEMA, OPERATIONS]);
const findings = (linted) =>
  linted.flatMap(({ filePath, messages }) =>
    messages.map((m) => `${filePath.slice(ROOT.length)}:${m.line} ${m.ruleId}: ${m.message}`),
  );
const spoiled = [
  await eslint.lintText("type lower { id: ID! }", { filePath: SCHEMA }),
  await eslint.lintText("{ viewer { id id } }", { filePath: OPERATIONS.replace("*", "spoiled") }),
];
const said = { files: files.length, findings: findings(files), spoiled: spoiled.map(findings) };
console.log(JSON.stringify(said));
