/** `filesync upgrade --check`: whether there is a newer release. Nothing is ever changed. @module */
import { EXIT, FilesyncError } from "../core/errors.ts";
import { noAnswer } from "../transport/no_answer.ts";
import type { CommandBody, Context, Invocation } from "./command.ts";
import { jsonLine } from "./json_printer.ts";
import { visible } from "./quote.ts";
import { usageError } from "./usage_error.ts";

export const upgradeCommand: CommandBody = {
  description:
    "Says whether there is a newer release than this, and where. filesync does not replace itself: unpack the archive over the executable, and restart services. Asks only who is named by --releases, and only for that list: the file SHA256SUMS that stands beside the archives of a release.",
  arguments: [],
  flags: [
    { name: "check", description: "Look whether there is a newer release; this is all that it can do" },
    {
      name: "releases",
      value: "URL",
      env: "FILESYNC_RELEASES",
      description: "Where the list of releases is: SHA256SUMS, or the directory that holds it",
    },
  ],
  examples: [
    {
      command: "filesync upgrade --check --releases https://example.com/filesync/",
      does: "Is there a newer one?",
    },
  ],
  run: upgrade,
};

/** Milliseconds that the list may take. */
const ANSWER_WITHIN = 10_000;

/** Bytes of a list that are read at most. */
const MOST_BYTES = 1 << 20;

/** An archive of a release. */
export interface Release {
  version: string;
  /** The archive's name. */
  name: string;
  sha256: string;
}

async function upgrade(invocation: Invocation, context: Context): Promise<number> {
  if (!invocation.has("check")) {
    throw usageError(
      "upgrade filesync",
      "it does not replace itself",
      "Look for a newer release with --check",
    );
  }
  const { version, stdout, clock } = context;
  const from = invocation.flag("releases");
  const list = from === undefined ? undefined : listIn(from);
  const newest = list === undefined ? undefined : newestIn(await read(list, context), Deno.build.target);
  const isNewer = newest !== undefined && compareVersions(newest.version, version) > 0;
  const archive = isNewer ? new URL(newest.name, list).href : undefined;
  if (invocation.has("json")) {
    stdout.write(jsonLine(clock.now(), {
      type: "upgrade",
      ...{ version, target: Deno.build.target, from: list?.href, newest: newest?.version },
      ...(isNewer ? { archive, sha256: newest.sha256 } : {}),
    }));
    return EXIT.done;
  }
  const lines = [`This is filesync ${version} for ${Deno.build.target}`];
  if (list === undefined) {
    lines.push("  Name a list of releases with --releases, to see whether there is a newer one");
  } else if (newest === undefined) lines.push(`  ${visible(list.href)} has no release for this system`);
  else if (!isNewer) lines.push(`  There is nothing newer: ${newest.version} is the newest`);
  else lines.push(`  ${newest.version} is newer: ${visible(archive!)}`, `  SHA-256 ${newest.sha256}`);
  stdout.write(`${lines.join("\n")}\n`);
  return EXIT.done;
}

function listIn(from: string): URL {
  const url = URL.canParse(from) ? new URL(from) : undefined;
  if (url === undefined || !["https:", "http:"].includes(url.protocol)) {
    throw usageError(`use --releases ${JSON.stringify(from)}`, "it is no http:// or https:// address");
  }
  return url.pathname.endsWith("/") ? new URL("SHA256SUMS", url) : url;
}

async function read(url: URL, { clock, signal }: Context): Promise<string> {
  const operation = `read ${url.href}`;
  const late = new AbortController();
  const answered = new AbortController();
  clock.sleep(ANSWER_WITHIN, AbortSignal.any([signal, answered.signal])).then(() => late.abort(), () => {});
  const fault = (reason: string, cause?: unknown) =>
    new FilesyncError({
      code: "unreachable",
      operation,
      reason,
      hint: "Check the address in --releases",
      cause,
    });
  try {
    const response = await fetch(url, { signal: AbortSignal.any([signal, late.signal]) });
    if (!response.ok) {
      await response.body?.cancel();
      throw fault(`it answers ${response.status}`);
    }
    const text: string[] = [];
    let bytes = 0;
    for await (const part of response.body!.pipeThrough(new TextDecoderStream())) {
      text.push(part);
      bytes += part.length;
      if (bytes > MOST_BYTES) throw fault("it is too long for a list of releases");
    }
    return text.join("");
  } catch (error) {
    if (signal.aborted || error instanceof FilesyncError) throw error;
    if (late.signal.aborted) throw fault(`it did not answer within ${ANSWER_WITHIN / 1000} seconds`);
    throw fault(noAnswer(error).reason, error);
  } finally {
    answered.abort();
  }
}

/** The newest release for `target` in a list as `sha256sum` writes it; `undefined` when there is none. */
export function newestIn(list: string, target: string): Release | undefined {
  const found = [...list.matchAll(/^([0-9a-f]{64}) [ *](filesync-(\d+\.\d+\.\d+)-([\w.-]+)\.tar\.gz)$/gm)]
    .filter(([, , , , built]) => built === target)
    .map(([, sha256, name, version]) => ({ version, name, sha256 }));
  return found.sort((a, b) => compareVersions(a.version, b.version)).at(-1);
}

/** Less than 0 when `a` comes before `b`. Of each the three numbers count. */
export function compareVersions(a: string, b: string): number {
  const [left, right] = [a, b].map((version) => version.split(/[.-]/).slice(0, 3).map(Number));
  const at = left.findIndex((number, i) => number !== right[i]);
  return at < 0 ? 0 : left[at] - right[at];
}
