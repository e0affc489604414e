/**
 * From the line of a command to the service that runs it: all that counts where it is installed (the
 * directory, the environment, the settings file) is written out, so that it means the same when it runs.
 *
 * @module
 */
import { dirname, resolve } from "@std/path";
import { serviceName, type ServiceScope, type ServiceSpec } from "../service/manager.ts";
import { type CommandEntry, type Context, type Flag, flagsOf, type Invocation } from "./command.ts";
import { isLoopback, parseDestination } from "./destination.ts";
import { settingsPath, settle } from "./main.ts";
import { checkArguments, loadNamed, parseCommandLine } from "./parse.ts";
import { quotePath } from "./quote.ts";
import { parseListen } from "./listening.ts";
import { TOKEN_VARIABLE } from "./token.ts";
import { anyOf } from "./suggest.ts";
import { usageError } from "./usage_error.ts";
import { watchJobs } from "./watch_job.ts";

/** The commands that run for as long as they are let. */
export const LASTING = ["serve", "watch", "sync"] as const;

/** Those of them that read their settings again when they are told to. */
const RELOADING = ["serve", "watch"];

/** These end at once, or belong to one run only. */
const NOT_LASTING = ["help", "version", "once", "dry-run", "allow-mass-delete"];

/** These are for the program that installs. */
const NOT_CARRIED = new Set(["config", "debug"]);

/** What {@linkcode readJob} needs to know of where the service will run. */
export interface JobPlace {
  scope: ServiceScope;
  account?: string;
  /** A name other than that made from the directory. */
  name?: string;
  executable: string;
  /** Whether it is this machine: paths are made absolute then, links are resolved. */
  isHere: boolean;
  /** The file of a service's token. */
  tokenOf(name: string): string;
  /** The file that a service logs to, where nobody keeps what it prints. */
  logOf?(name: string): string;
  /** The directory of a service's state; it is the user's own when this is absent. */
  stateOf?(name: string): { path: string; managed?: string };
}

/**
 * The service that runs the command line `words`.
 *
 * @throws {FilesyncError} `usage` when the line is not right, or is of a command that ends by itself.
 */
export async function readJob(
  words: readonly string[],
  table: readonly CommandEntry[],
  context: Context,
  place: JobPlace,
): Promise<ServiceSpec> {
  const commands = await loadNamed(words, table);
  const line = parseCommandLine(words, commands);
  const { command } = line;
  if (command === undefined || !LASTING.some((name) => name === command.name)) {
    throw usageError(
      "make a service",
      words.length === 0
        ? "what it shall run is missing"
        : `${quotePath(words[0])} is no command that keeps running`,
      `Give a command line of ${anyOf(LASTING)}, such as: filesync service install serve /srv/photos`,
    );
  }
  checkArguments(command, line.arguments);
  const invocation = await settle(command, line, commands, context);
  if (command.name === "sync" && !invocation.has("watch") && !invocation.has("interval")) {
    throw usageError(
      "make a service",
      "a sync ends when all is in step",
      "Add --watch, or how often it shall be done, such as --interval 1h",
    );
  }
  const path = (text: string) => place.isHere ? realPathOr(resolve(text)) : text;
  const isWatch = command.name === "watch";
  // What tables of the settings file say stays there.
  const tables = isWatch && !invocation.settings.has("to") ? watchJobs(invocation, context) : [];
  const given = invocation.arguments.map(path);
  const name = place.name ?? serviceName(command.name, given[0]);
  const flags = flagsOf(command);
  const writes: string[] = [];
  const reads: string[] = [];
  const isSync = command.name === "sync";
  const directories = isSync ? given.slice(0, 1) : given;
  const isChanged = command.name === "serve" || (isSync && invocation.has("two-way"));
  (isChanged ? writes : reads).push(...directories, ...tables.map(({ source }) => source));

  const args = [command.name, ...directories];
  if (isSync) args.push(destinationWord(invocation.arguments[1], path));
  for (const [flagName, { values, from }] of invocation.settings) {
    const flag = flags.find((flag) => flag.name === flagName)!;
    if (from === "default" || NOT_CARRIED.has(flagName) || (tables.length > 0 && from === "file")) continue;
    if (NOT_LASTING.includes(flagName)) {
      throw usageError("make a service", `--${flagName} is for a single run`, `Leave --${flagName} out`);
    }
    args.push(...values.flatMap((value) => wordsOf(flag, written(flag, value, path))));
  }
  function carry(flag: string, file: string): void {
    args.push(`--${flag}=${file}`);
  }

  const settingsFile = tables.length > 0 ? path(settingsPath(line, context)!) : undefined;
  if (settingsFile !== undefined) {
    carry("config", settingsFile);
    reads.push(settingsFile);
  }
  const named = isSync
    ? [invocation.arguments[1]]
    : isWatch && tables.length === 0
    ? invocation.flags("to")
    : [];
  const destinations = [
    ...named.map((to) => parseDestination(to, Deno.cwd())),
    ...tables.map(({ to }) => to),
  ];
  for (const to of destinations) {
    // A backup may have to be made anew, and its versions lie beside it.
    if (to.kind === "directory") writes.push(isSync ? dirname(path(to.path)) : path(to.path));
  }
  const token = tokenOf(invocation, context, place.tokenOf(name));
  if (token !== undefined) carry("token-file", token.path);
  const hasState = command.name !== "serve";
  const state = hasState && invocation.flag("state") === undefined ? place.stateOf?.(name) : undefined;
  if (state !== undefined) carry("state", state.path);
  const log = invocation.flag("log") === undefined ? place.logOf?.(name) : path(invocation.flag("log")!);
  if (log !== undefined) {
    if (invocation.flag("log") === undefined) carry("log", log);
    writes.push(dirname(log));
  }
  for (const given of ["token-file", "tls-cert", "tls-key", "ssh-key", "ssh-known-hosts"]) {
    const file = flags.some(({ name }) => name === given) ? invocation.flag(given) : undefined;
    if (file !== undefined) reads.push(path(file));
  }
  if (token !== undefined) reads.push(token.path);
  for (const { invocation } of tables) {
    const file = invocation.flag("token-file");
    if (file !== undefined) reads.push(path(file));
  }
  if (hasState && invocation.flag("state") !== undefined) writes.push(path(invocation.flag("state")!));
  const { scope, account, executable } = place;
  return {
    ...{ name, scope, account, executable, args, writes, reads, token, log },
    description: [
      "filesync",
      command.name,
      ...directories,
      ...named.length > 0 ? ["to", named.join(", ")] : [],
    ]
      .join(" "),
    belongsTo: settingsFile,
    state: state?.managed,
    reloads: RELOADING.includes(command.name),
    privilegedPort: command.name === "serve" && isPrivileged(invocation.flag("listen")!),
  };
}

/** Why a service should rather not be as it is; nothing when all is well. */
export function cautionFor(spec: ServiceSpec): string | undefined {
  const listen = spec.args.find((word) => word.startsWith("--listen="))?.slice("--listen=".length);
  if (spec.args[0] !== "serve" || (listen !== undefined && !isLoopback(parseListen(listen).hostname))) return;
  return "It listens on this machine only; --listen 0.0.0.0:7433 takes every network";
}

/** The value of a flag as it shall stand in the service. */
function written(flag: Flag, value: string, path: (text: string) => string): string {
  if (flag.value === "FILE" || flag.value === "DIR") return path(value);
  return flag.name === "to" ? destinationWord(value, path) : value;
}

function destinationWord(value: string, path: (text: string) => string): string {
  return parseDestination(value, Deno.cwd()).kind === "directory" ? path(value) : value;
}

function wordsOf(flag: Flag, value: string): string[] {
  if (flag.value !== undefined) return [`--${flag.name}=${value}`];
  if (value === "true") return [`--${flag.name}`];
  return flag.negatable ? [`--no-${flag.name}`] : [];
}

/** A token of the environment goes into a file: whoever lists processes or units must not see it. */
function tokenOf(invocation: Invocation, context: Context, path: string): ServiceSpec["token"] {
  const value = context.environment(TOKEN_VARIABLE);
  return value && invocation.flag("token-file") === undefined ? { path, value } : undefined;
}

function isPrivileged(listen: string): boolean {
  const { port } = parseListen(listen);
  return port > 0 && port < 1024;
}

/** The real path, as far as there is one. */
function realPathOr(path: string): string {
  try {
    return Deno.realPathSync(path);
  } catch {
    return path;
  }
}
