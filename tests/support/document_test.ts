import { assertEquals, assertThrows } from "@std/assert";
import { anchorsIn, codeIn, linksIn, scriptOf, shellIn } from "./document.ts";

const DOCUMENT = `# Title: a *test*
<!-- sh
mkdir d
-->
<!-- sh 9W… = $(cat token) -->
Text with [a link](x.md#y) and \`code
in two lines\`.
\`\`\`sh background
serve 9W…
\`\`\`
\`\`\`sh exit=4
sync 9W…
\`\`\`
\`\`\`sh not-run: it is far away
ssh vm
\`\`\`
\`\`\`
output
\`\`\`
`;

Deno.test("scriptOf() keeps the lines of the document", () => {
  assertEquals(scriptOf(shellIn(DOCUMENT), (shell) => shell.replace("serve", "SERVE")).split("\n"), [
    "",
    "",
    "mkdir d",
    "",
    "",
    "",
    "",
    "{",
    "SERVE $(cat token)",
    '} > "$SANDBOX/line-9" 2>&1 & begun "$SANDBOX/line-9"',
    "if (",
    "sync $(cat token)",
    "); then ended_with 4 0; else ended_with 4 $?; fi",
    "",
  ]);
});

Deno.test("shellIn() takes no block to be run after a comment that says so", () => {
  const blocks = "```sh\na\n```\n<!-- sh not-run: far away -->\n```sh\nb\n```\n";
  assertEquals(shellIn(blocks).blocks.map(({ how }) => how), [{ kind: "run" }, {
    kind: "not-run",
    why: "far away",
  }]);
});

Deno.test("shellIn() refuses what means nothing", () => {
  assertThrows(() => shellIn("```sh sometimes\nx\n```"), Error, "line 1");
  assertThrows(() => shellIn("text\n```sh\nx\n"), Error, "line 2");
});

Deno.test("linksIn(), codeIn() and anchorsIn() find what is in the text, and not in blocks", () => {
  assertEquals(linksIn(DOCUMENT), [{ line: 6, text: "x.md#y" }]);
  assertEquals(codeIn(DOCUMENT), [{ line: 6, text: "code in two lines" }]);
  assertEquals([...anchorsIn(DOCUMENT)], ["title-a-test"]);
});
