/**
 * Keeps the clock and the environment out of the program's depths: time comes
 * in as a `Clock` (only `src/core/clock.ts` reads the system's), settings come
 * in as arguments (only `src/cli` reads the environment).
 *
 * @module
 */

const CLOCK_HOME = "/src/core/clock.ts";
const SETTINGS_HOME = "/src/cli/";

const plugin: Deno.lint.Plugin = {
  name: "ambient",
  rules: {
    "no-clock": {
      create(context) {
        const { filename } = context;
        if (!filename.includes("/src/") || filename.endsWith(CLOCK_HOME) || filename.endsWith("_test.ts")) {
          return {};
        }
        return {
          'CallExpression[callee.object.name="Date"][callee.property.name="now"]'(node) {
            context.report({
              node,
              message: "Cannot read the system's clock here",
              hint: "Take a Clock as an argument (src/core/clock.ts)",
            });
          },
          'NewExpression[callee.name="Date"][arguments.length=0]'(node) {
            context.report({
              node,
              message: "Cannot read the system's clock here",
              hint: "Take a Clock as an argument (src/core/clock.ts)",
            });
          },
        };
      },
    },
    "no-environment": {
      create(context) {
        const { filename } = context;
        if (
          !filename.includes("/src/") || filename.includes(SETTINGS_HOME) || filename.endsWith("_test.ts")
        ) return {};
        return {
          'MemberExpression[object.name="Deno"][property.name="env"]'(node) {
            context.report({
              node,
              message: "Cannot read the environment here",
              hint: "Take the setting as an argument; src/cli reads the environment",
            });
          },
        };
      },
    },
  },
};

export default plugin;
