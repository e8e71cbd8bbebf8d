import { defineConfig } from "vite";

// The gateway serves what is built here at /graphiql, under a policy that allows no inline script
// and no other origin: gateway/routes/graphiql.py.
export default defineConfig({
  base: "/graphiql/",
  logLevel: "warn",
  build: {
    outDir: "../gateway/static/graphiql",
    emptyOutDir: true,
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    chunkSizeWarningLimit: 5000, // Monaco
    license: { fileName: "LICENSES.md" },
    rolldownOptions: {
      checks: { pluginTimings: false },
      onwarn(warning, warn) {
        // "use client" and its like, in the packages: they mean nothing to a page without a server.
        if (warning.code !== "MODULE_LEVEL_DIRECTIVE") warn(warning);
      },
    },
  },
  worker: { format: "es" },
});
