import { assertEquals } from "@std/assert";
import ambient from "./ambient.ts";

/** The rules that `source` breaks, were it the file at `path` of the checkout. */
function broken(path: string, source: string): string[] {
  return Deno.lint.runPlugin(ambient, `/checkout/${path}`, source).map(({ id }) => id);
}

const CLOCK = "const a = Date.now(); const b = new Date();";
const ENVIRONMENT = `const home = Deno.env.get("HOME");`;

Deno.test("ambient refuses the system's clock in src, but in core/clock.ts", () => {
  assertEquals(broken("src/queue/a.ts", CLOCK), ["ambient/no-clock", "ambient/no-clock"]);
  assertEquals(broken("src/cli/a.ts", CLOCK).length, 2);
  assertEquals(broken("src/core/clock.ts", CLOCK), []);
});

Deno.test("ambient takes a Date of a given time for what it is", () => {
  assertEquals(broken("src/queue/a.ts", "const a = new Date(0).toISOString();"), []);
});

Deno.test("ambient refuses the environment in src, but in cli", () => {
  assertEquals(broken("src/queue/a.ts", ENVIRONMENT), ["ambient/no-environment"]);
  assertEquals(broken("src/cli/a.ts", ENVIRONMENT), []);
});

Deno.test("ambient leaves tests, tools and benches alone", () => {
  for (const path of ["src/queue/a_test.ts", "tests/support/a.ts", "tools/a.ts", "benches/a.ts"]) {
    assertEquals(broken(path, CLOCK + ENVIRONMENT), []);
  }
});
