import { assertEquals } from "@std/assert";
import fc from "fast-check";
import { FilesyncError } from "./errors.ts";
import { errorOf, type Problem, problemOf } from "./problem.ts";

Deno.test("errorOf() gives back the error that problemOf() was given, through JSON too", () => {
  const details = fc.record({
    code: fc.constantFrom("io" as const, "indexing" as const),
    // Neither has ": " in what is done; what follows may hold anything, new lines too.
    operation: fc.constantFrom('write "a"', 'move "a\\n" to "b"'),
    reason: fc.string(),
    permanent: fc.boolean(),
    hint: fc.option(fc.string(), { nil: undefined }),
    retryAfter: fc.option(fc.nat(), { nil: undefined }),
  });
  fc.assert(fc.property(details, (details) => {
    const error = new FilesyncError(details);
    const problem: Problem = JSON.parse(JSON.stringify(problemOf(error, "a")));
    const again = errorOf(problem);
    const { code, operation, reason, hint, permanent, retryAfter, message } = again;
    assertEquals({ code, operation, reason, hint, permanent, retryAfter }, details);
    assertEquals(message, error.message);
  }));
});

Deno.test("problemOf() has no fields that say nothing", () => {
  const error = new FilesyncError({ code: "io", operation: "write", reason: "no" });
  assertEquals(problemOf(error), { code: "io", message: "Cannot write: no", permanent: false });
  assertEquals(problemOf(error, "a").path, "a");
});

Deno.test("errorOf() keeps a message that is not of the usual form", () => {
  const { message, reason } = errorOf({ code: "io", message: "Something else", permanent: true });
  assertEquals([message, reason], ["Cannot do this: Something else", "Something else"]);
});
