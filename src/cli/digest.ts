/** `filesync digest`: one digest for a whole directory. @module */
import { DEFAULT_CHUNKING } from "../chunking/chunker.ts";
import { DescribePool } from "../chunking/describe_pool.ts";
import { EXIT } from "../core/errors.ts";
import { IgnoreRules } from "../files/ignore_rules.ts";
import { TreeRoot } from "../files/tree_root.ts";
import { DirectoryDigest, listingLine } from "../hashing/directory_digest.ts";
import { readTree } from "../sync/read_tree.ts";
import type { CommandBody, Context, Invocation } from "./command.ts";
import { jsonLine } from "./json_printer.ts";
import { realDirectory } from "./places.ts";
import { createPrinter } from "./printer.ts";
import { quotePath } from "./quote.ts";

export const digestCommand: CommandBody = {
  description:
    "Two directories have the same digest when they have the same files, directories and links with the same contents and targets, and the same files may be executed. Times, other permissions and owners do not count. So it is the same on both sides of a sync, on every system.\n\n" +
    "It is the SHA-256 of a listing that --list prints. What .filesyncignore leaves out is left out, and .filesync itself. The exit code is 1 when something could not be read.",
  arguments: [{ name: "dir", description: "The directory" }],
  flags: [
    { name: "list", short: "l", description: "Print a line for each entry, and not the digest" },
    {
      name: "ignore",
      short: "i",
      value: "PATTERN",
      repeat: true,
      env: "FILESYNC_IGNORE",
      description: "Leave out what matches, as if it stood in .filesyncignore",
    },
  ],
  examples: [
    { command: "filesync digest ~/photos", does: "Compare it with what another machine prints" },
    { command: "filesync digest --list . | sha256sum", does: "The same digest, made by others" },
  ],
  run: digest,
};

async function digest(invocation: Invocation, context: Context): Promise<number> {
  const directory = realDirectory(invocation.arguments[0]);
  const json = invocation.has("json");
  const list = invocation.has("list");
  // The listing and the digest are what goes to the output; all else goes beside it.
  using printer = createPrinter({
    clock: context.clock,
    isTerminal: context.isTerminal && !list,
    colors: context.colors,
    columns: () => context.columns(),
    out: context.stderr,
    err: context.stderr,
    json,
    quiet: invocation.has("quiet"),
  });
  using root = TreeRoot.open(directory);
  using pool = new DescribePool(DEFAULT_CHUNKING);
  const whole = new DirectoryDigest();
  const counts = { files: 0, directories: 0, links: 0, bytes: 0 };
  let problems = 0;
  const entries = readTree(root, {
    rules: IgnoreRules.load(root, invocation.flags("ignore")),
    pool,
    signal: context.signal,
    onProblem(problem) {
      problems++;
      printer.report({ type: "problem", problem });
    },
    onProgress: (progress) => printer.report({ type: "progress", ...progress, sentBytes: 0 }),
  });
  for await (const { entry } of entries) {
    whole.add(entry);
    if (entry.kind === "file") {
      counts.files++;
      counts.bytes += entry.size;
    } else counts[entry.kind === "directory" ? "directories" : "links"]++;
    if (list) {
      context.stdout.write(
        json ? jsonLine(context.clock.now(), { type: "entry", ...entry }) : listingLine(entry),
      );
    }
  }
  printer.close();
  if (!list) {
    const sum = whole.digest();
    context.stdout.write(
      json
        ? jsonLine(context.clock.now(), {
          type: "digest",
          ...{ digest: sum, directory, ...counts, problems },
        })
        : `${sum}  ${quotePath(directory)}\n`,
    );
  }
  return problems > 0 ? EXIT.problems : EXIT.done;
}
