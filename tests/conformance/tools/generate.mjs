// What real tools make of the operations of the mobile example and of ../relay, written to the
// folder of the first argument: manifests for `dashtam documents publish`, and what clients get.
import { spawnSync } from "node:child_process";
import { cpSync, mkdirSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { readFileSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import ts from "typescript";

const HERE = dirname(fileURLToPath(import.meta.url));
const SUITE = dirname(HERE);
const SCHEMA = join(SUITE, "../../schema/schema.graphql");
const OPERATIONS = join(SUITE, "mobile/operations/*.graphql");
const { resolve: found } = createRequire(import.meta.url);

const out = resolve(process.argv[2]);
const scratch = mkdtempSync(join(tmpdir(), "dashtam-tools-"));
const write = (path, value) => writeFileSync(path, JSON.stringify(value));

/** The program that a package names, run to its end in `cwd`. */
function run(name, bin, words, cwd = HERE) {
  const folder = join(HERE, "node_modules", name);
  const { bin: programs } = JSON.parse(readFileSync(join(folder, "package.json"), "utf8"));
  const program = join(folder, typeof programs === "string" ? programs : programs[bin]);
  const ended = spawnSync(process.execPath, [program, ...words], { cwd, encoding: "utf8" });
  if (ended.status !== 0) throw new Error(`${name}: ${ended.stdout}${ended.stderr}`);
}

function apollo() {
  const config = join(scratch, "apollo.json");
  write(config, { documents: [OPERATIONS], output: join(out, "apollo.json") });
  run("@apollo/generate-persisted-query-manifest", "generate-persisted-query-manifest", [
    "--config",
    config,
  ]);
}

/** The compiler writes beside what it reads, so it is given a copy. */
function relay() {
  for (const algorithm of ["SHA256", "MD5"]) {
    const root = join(scratch, algorithm);
    cpSync(join(SUITE, "relay"), join(root, "src"), { recursive: true });
    cpSync(SCHEMA, join(root, "schema.graphql"));
    write(join(root, "persisted.json"), {});
    write(join(root, "relay.config.json"), {
      src: "./src",
      schema: "./schema.graphql",
      language: "javascript",
      eagerEsModules: false,
      persistConfig: { file: "./persisted.json", algorithm },
    });
    run("relay-compiler", "relay-compiler", ["./relay.config.json"], root);
    cpSync(join(root, "persisted.json"), join(out, `relay-${algorithm.toLowerCase()}.json`));
  }
  const made = join(scratch, "SHA256/src/__generated__");
  mkdirSync(join(out, "relay"), { recursive: true });
  for (const file of readdirSync(made)) cpSync(join(made, file), join(out, "relay", file));
  write(join(out, "relay/package.json"), { type: "commonjs" });
}

/** Node.js runs no TypeScript: the documents are kept as the JavaScript that they compile to. */
function codegen() {
  const config = join(scratch, "codegen.json");
  write(config, {
    schema: SCHEMA,
    documents: [OPERATIONS],
    generates: {
      [`${join(scratch, "gql")}/`]: {
        preset: "client",
        presetConfig: { persistedDocuments: { hashAlgorithm: "sha256" }, fragmentMasking: false },
        config: { documentMode: "string", enumsAsTypes: true, useTypeImports: true },
      },
    },
  });
  run("@graphql-codegen/cli", "graphql-codegen", ["--config", config]);
  mkdirSync(join(out, "codegen"), { recursive: true });
  const persisted = join(scratch, "gql/persisted-documents.json");
  cpSync(persisted, join(out, "codegen/persisted-documents.json"));
  const compilerOptions = { target: "es2022", module: "es2022", removeComments: true };
  const source = readFileSync(join(scratch, "gql/graphql.ts"), "utf8");
  const { outputText } = ts.transpileModule(source, { compilerOptions });
  writeFileSync(join(out, "codegen/documents.mjs"), outputText);
}

mkdirSync(out, { recursive: true });
try {
  apollo();
  relay();
  codegen();
} finally {
  rmSync(scratch, { recursive: true });
}
