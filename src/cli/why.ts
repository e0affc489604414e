/** `filesync why`: why a path is, or is not, at the destination. @module */
import { basename, dirname, join, resolve } from "@std/path";
import { EXIT, FilesyncError, nextStep } from "../core/errors.ts";
import { isWithin, parsePath, type TreePath } from "../core/path.ts";
import { IgnoreRules } from "../files/ignore_rules.ts";
import { TreeRoot } from "../files/tree_root.ts";
import { isUnchanged } from "../index/unchanged.ts";
import type { CommandBody, Context, Invocation } from "./command.ts";
import { freeBytes } from "./doctor_check.ts";
import { jsonLine } from "./json_printer.ts";
import { pathWithin, realPathOf } from "./places.ts";
import { quotePath, visible } from "./quote.ts";
import { formatDuration } from "./sizes.ts";
import { type KnownState, openStates, STATE_FLAG } from "./state_home.ts";
import { usageError } from "./usage_error.ts";

export const whyCommand: CommandBody = {
  description:
    "Names the cause and the next step: a rule that leaves the path out, a problem and when it is tried again, a place in the queue. The exit code is 1 when something must be done about it.",
  arguments: [{ name: "path", description: "A file, directory or link of a watched directory" }],
  flags: [STATE_FLAG],
  examples: [{ command: "filesync why ~/photos/2024/a.jpg", does: "Tell where this picture stands" }],
  run: why,
};

/** What is known of a path. */
interface Answer {
  type: "why";
  path: string;
  destination: string;
  verdict: "in step" | "ignored" | "waiting" | "problem" | "not seen" | "foreign" | "gone";
  reason: string;
  next?: string;
}

/** A state's disk with less room than this many bytes takes no record any more. */
const LEAST_ROOM = 256 << 10;

/** So long after a change it may not be settled yet, milliseconds. */
const SETTLING_MS = 3_500;

/** The next step where there is none to take. */
const LOOKED_AT = "Wait: everything is looked at now and then, even without an event";

function why(invocation: Invocation, context: Context): Promise<number> {
  const [text] = invocation.arguments;
  const absolute = realParent(resolve(Deno.cwd(), text));
  const answers: Answer[] = [];
  let isWhole = false;
  for (const known of openStates(context, invocation.flag("state"))) {
    using _known = known;
    const within = pathWithin(known.source, absolute);
    isWhole ||= within === "";
    if (within) answers.push(explainText(known, within, context));
  }
  if (answers.length === 0) {
    throw usageError(
      `explain "${text}"`,
      isWhole ? "it is a watched directory itself" : "it lies in no directory that is watched from here",
      isWhole
        ? `Name what is in it, or see all of it with: filesync status ${quotePath(text)}`
        : "See the watched directories with: filesync status",
    );
  }
  for (const answer of answers) {
    context.stdout.write(invocation.has("json") ? jsonLine(context.clock.now(), answer) : textOf(answer));
  }
  return Promise.resolve(answers.some(({ verdict }) => verdict === "problem") ? EXIT.problems : EXIT.done);
}

/** Explains a path that may not even be one. */
function explainText(known: KnownState, text: string, context: Context): Answer {
  try {
    return explain(known, parsePath(text), context);
  } catch (error) {
    // What keeps us from looking keeps `filesync watch` from it, too.
    if (!(error instanceof FilesyncError)) throw error;
    const { source, destination } = known;
    const path = join(source, text);
    return {
      type: "why",
      path,
      destination,
      verdict: "problem",
      reason: error.message,
      next: nextStep(error),
    };
  }
}

function explain(
  { state, source, destination, running }: KnownState,
  path: TreePath,
  { clock }: Context,
): Answer {
  const answer = (verdict: Answer["verdict"], reason: string, next?: string): Answer => ({
    type: "why",
    path: join(source, path),
    destination,
    verdict,
    reason,
    ...(next === undefined ? {} : { next }),
  });
  const now = clock.now();
  const start = running ? undefined : `Start it: filesync watch ${quotePath(source)} --to ${destination}`;

  // Of a directory that cannot be read, all that is below it has the problem.
  const problem = state.problems().map(({ problem }) => problem)
    .filter((problem) => isWithin(path, problem.path as TreePath))
    .sort((a, b) => b.path!.length - a.path!.length)[0];
  if (problem !== undefined) return answer("problem", problem.message, nextStep(problem));

  const connection = JSON.parse(state.index.meta("connection") ?? "{}");

  /** Nothing is known of a change: why not? */
  const unnoticed = (verdict: Answer["verdict"], reason: string, changedAt?: number): Answer => {
    if (freeBytes(state.directory) < LEAST_ROOM) {
      return answer(
        "problem",
        `${reason}: there is no room on the disk of "${state.directory}", where it would be remembered`,
        nextStep({ code: "disk-full" }),
      );
    }
    if (!running && connection.hint !== undefined) {
      return answer("problem", `The receiver refused the push: ${connection.detail}`, connection.hint);
    }
    if (running && changedAt !== undefined && Math.abs(now - changedAt) < SETTLING_MS) {
      return answer(
        "waiting",
        "It changed a moment ago, and is pushed as soon as it stands still",
        LOOKED_AT,
      );
    }
    return answer(verdict, reason, start ?? LOOKED_AT);
  };

  const queued = state.queue.about(path);
  const failing = queued.find(({ error }) => error !== undefined);
  if (failing !== undefined) {
    const { error, readyAt, attempts } = failing;
    const when = error!.permanent
      ? "it is tried again when the file changes"
      : `tried ${attempts} times, next try ${readyAt <= now ? "now" : `in ${formatDuration(readyAt - now)}`}`;
    const step = nextStep(error!);
    // Where only time is needed, somebody must be there to use it.
    return answer(
      "problem",
      `${error!.message}; ${when}`,
      /^(Nothing|Wait)/.test(step) ? start ?? step : step,
    );
  }
  if (queued.length > 0) {
    const reason = connection.state === "offline"
      ? `The receiver is out of reach (${connection.detail}); its ${
        queued[0].action.type
      } waits in the queue of ${state.queue.size}`
      : `Its ${queued[0].action.type} waits in the queue of ${state.queue.size}`;
    const wait = connection.state === "offline"
      ? `It is sent when the receiver answers; see what is wrong with: filesync doctor --to ${destination}`
      : "Wait: it is sent by itself";
    return answer("waiting", reason, connection.hint ?? start ?? wait);
  }

  using root = TreeRoot.open(source);
  using anchor = root.anchor();
  const stat = anchor.lstat(path);
  const known = state.index.get(path);
  const rule = IgnoreRules.load(root).ruleFor(path, (stat?.kind ?? known?.kind) === "directory");
  if (rule !== undefined) {
    return answer(
      "ignored",
      `The pattern "${rule.pattern}" in ${rule.file} leaves it out`,
      `Change ${rule.file}`,
    );
  }
  if (stat?.kind === "other") {
    return answer(
      "problem",
      "It is a socket, a pipe or a device, and only files, directories and links are pushed",
      "Exclude it in .filesyncignore",
    );
  }
  if (stat === undefined && known === undefined && state.foreignWithin(path).length > 0) {
    return answer(
      "foreign",
      "It stands at the destination, was not put there by filesync, and is left alone",
      "To have it removed: filesync watch --delete",
    );
  }
  const brake = state.index.meta("brake");
  if (stat === undefined && known !== undefined && brake) {
    return answer(
      "problem",
      `It was removed here, but removals are held back: ${brake}`,
      nextStep({ code: "brake" }),
    );
  }
  if (stat === undefined) {
    return known === undefined
      ? answer("gone", "It does not exist, and nothing is known of it")
      : unnoticed("waiting", "It was removed, and that has not been noticed yet");
  }
  if (known === undefined) {
    return unnoticed("not seen", "It has not been looked at yet, or is left out by --ignore", stat.ctime);
  }
  if (known.kind !== "directory" && !isUnchanged(known, stat)) {
    return unnoticed(
      "waiting",
      "It changed since it was pushed, and that has not been noticed yet",
      stat.ctime,
    );
  }
  return answer("in step", `The receiver has it; last looked at ${formatDuration(now - known.lookedAt)} ago`);
}

function textOf({ path, destination, verdict, reason, next }: Answer): string {
  const lines = [`${quotePath(path)} → ${visible(destination)}: ${verdict}`, `  ${visible(reason)}`];
  if (next !== undefined) lines.push(`  ${visible(next)}`);
  return `${lines.join("\n")}\n`;
}

/** The real path of what holds `path`, with the last name as it is: the path may be a link, or gone. */
function realParent(path: string): string {
  return join(realPathOf(dirname(path)), basename(path));
}
