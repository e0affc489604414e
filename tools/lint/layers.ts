/**
 * Keeps imports pointing down the ladder that ARCHITECTURE.md draws: a file
 * imports from its own folder and from lower rungs, never from a neighbour on
 * its rung and never upwards.
 *
 * @module
 */

/** The folders of `src`, lowest first; those on one rung are strangers. */
export const LADDER: readonly (readonly string[])[] = [
  ["core"],
  ["hashing"],
  ["chunking"],
  ["files", "database"],
  ["index", "versions"],
  ["queue", "watcher", "transport"],
  ["server", "sftp", "sync", "crawler", "service"],
  ["cli"],
];

function folderOf(path: string): string | undefined {
  return path.replaceAll("\\", "/").match(/\/src\/([^/]+)\//)?.[1];
}

function rungOf(folder: string): number {
  return LADDER.findIndex((names) => names.includes(folder));
}

const plugin: Deno.lint.Plugin = {
  name: "layers",
  rules: {
    "down-only": {
      create(context) {
        const home = folderOf(context.filename);
        // What stands outside src (main.ts, tests) may use anything; tests may use their tools.
        if (home === undefined || context.filename.endsWith("_test.ts")) return {};
        const rung = rungOf(home);

        function check(node: Deno.lint.Node, specifier: unknown) {
          if (typeof specifier !== "string" || !specifier.startsWith(".")) return;
          const target = folderOf(new URL(specifier, `file://${context.filename}`).pathname);
          if (target === home) return;
          if (target !== undefined && rungOf(target) >= 0 && rungOf(target) < rung) return;
          context.report({
            node,
            message: `Cannot import "${specifier}" into "${home}": ` +
              `"${target ?? "what is outside src"}" is not on a lower rung`,
            hint: "Move the shared part down, or pass it in from cli",
          });
        }

        return {
          Program(node) {
            if (rung < 0) {
              context.report({
                node,
                message: `Cannot place "${home}": it is on no rung of the ladder`,
                hint: "Add it to LADDER in tools/lint/layers.ts and to ARCHITECTURE.md",
              });
            }
          },
          ImportDeclaration: (node) => check(node, node.source.value),
          ExportNamedDeclaration: (node) => check(node, node.source?.value),
          ExportAllDeclaration: (node) => check(node, node.source.value),
        };
      },
    },
  },
};

export default plugin;
