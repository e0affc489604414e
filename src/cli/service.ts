/** `filesync service`: `serve`, `watch` and `sync` as services of the system. @module */
import { EXIT, FilesyncError } from "../core/errors.ts";
import { type Applied, applyInstallation, applyRemoval, runOrThrow } from "../service/apply.ts";
import {
  fullName,
  type Installation,
  type RunCommand,
  type ServiceFile,
  type ServiceScope,
  type ServiceSpec,
  type ServiceStatus,
} from "../service/manager.ts";
import { templateInstallation } from "../service/systemd_manager.ts";
import { windowsCommandLine, winswXml } from "../service/windows_manager.ts";
import { runWindowsService } from "../service/windows_service.ts";
import type { CommandBody, CommandEntry, Context, Invocation } from "./command.ts";
import { jsonLine } from "./json_printer.ts";
import { main } from "./main.ts";
import { quotePath, visible } from "./quote.ts";
import { cautionFor, LASTING, readJob } from "./service_job.ts";
import { placesOf, type Platform, platformHere, PLATFORMS, type ServicePlaces } from "./service_places.ts";
import { createStyle } from "./style.ts";
import { anyOf, didYouMean } from "./suggest.ts";
import { usageError } from "./usage_error.ts";

/** What can be done with a service. `run` is for Windows' service manager. */
const ACTIONS = ["install", "uninstall", "start", "stop", "status", "print", "run"] as const;
/** Those that are for people. */
const SHOWN = ACTIONS.filter((name) => name !== "run");
type Action = (typeof ACTIONS)[number];

/** Lines of the log that `status` shows. */
const LOG_LINES = 10;

/** The command; `commands` are those that a service may run, and `run` starts others' programs. */
export function serviceCommand(
  commands: readonly CommandEntry[],
  run: RunCommand = runCommand,
): CommandBody {
  return {
    description:
      "Makes `filesync serve`, `filesync watch`, or `filesync sync` with --interval or --watch, a service, which starts with the system and is started again when it fails: of systemd, of launchd (macOS) or of Windows. Behind `install` or `print` stands the whole command line; its paths are made absolute, and settings of the environment and the settings file are written out. A token in FILESYNC_TOKEN is put into a file that only the service can read.\n\n" +
      "install brings it to the system, and starts it with every start of that. start, stop, status and uninstall take the service's name, as install prints it, or the same command line; status alone shows all. print shows what install would do, and does nothing.",
    arguments: [
      { name: "action", choices: SHOWN, description: anyOf(SHOWN) },
      { name: "service", optional: true, description: "A command line to run, or a service's name" },
    ],
    nested: LASTING,
    flags: [
      {
        name: "scope",
        value: "SCOPE",
        description: "system or user: whose service it is; system for root, else user",
      },
      {
        name: "user",
        value: "NAME",
        description: "The account that the system runs it as; else the owner of the directory",
      },
      { name: "name", value: "NAME", description: "A name other than that made from the directory" },
      { name: "now", description: "Start it, too, when it is installed" },
      {
        name: "template",
        description: "Install filesync@.service of systemd, whose instances are named for directories",
      },
      {
        name: "platform",
        value: "SYSTEM",
        description: `Print for ${anyOf(PLATFORMS)} in place of this system`,
      },
      { name: "format", value: "FORMAT", description: "Print winsw: settings of WinSW, for Windows" },
    ],
    examples: [
      {
        command: "filesync service install serve /srv/photos --listen 0.0.0.0:7433",
        does: "Serve from now on, as the owner of the directory",
      },
      {
        command: "filesync service install --now watch ~/photos --to backup.lan",
        does: "Watch from now on, and begin at once",
      },
      {
        command: "filesync service install sync ~/docs /mnt/backup/docs --interval 1h",
        does: "Back up every hour",
      },
      { command: "filesync service status", does: "Show all services, and what they log" },
      { command: "filesync service print watch ~/photos --to backup.lan", does: "Show what would be made" },
      { command: "filesync service uninstall watch-photos", does: "Stop it, and take it away" },
    ],
    run: (invocation, context) => service(invocation, context, commands, run),
  };
}

/** What all actions work with. */
interface Work {
  invocation: Invocation;
  context: Context;
  commands: readonly CommandEntry[];
  run: RunCommand;
  platform: Platform;
  scope: ServiceScope;
  places: ServicePlaces;
  /** A name or a command line. */
  words: string[];
}

async function service(
  invocation: Invocation,
  context: Context,
  commands: readonly CommandEntry[],
  run: RunCommand,
): Promise<number> {
  const [action, ...words] = invocation.arguments;
  if (!ACTIONS.some((name) => name === action)) {
    throw usageError(
      `run filesync service ${JSON.stringify(action)}`,
      "there is no such action",
      `${didYouMean(action, SHOWN)}Write ${anyOf(SHOWN)}`,
    );
  }
  if (action === "run") return await runAsService(words, invocation, context, commands);
  const platform = choice("platform", invocation, PLATFORMS) ?? platformHere();
  const scope = choice("scope", invocation, ["system", "user"]) ??
    (platform === "windows" || (platform === platformHere() ? Deno.uid() === 0 : true) ? "system" : "user");
  if (action !== "print" && platform !== platformHere()) {
    throw usageError(`${action} a service`, "--platform is for another system", "Use it with print only");
  }
  const places = placesOf(platform, scope, context, run);
  const work = { invocation, context, commands, run, platform, scope, places, words };
  await DO[action as Exclude<Action, "run">](work);
  return EXIT.done;
}

const DO: Record<Exclude<Action, "run">, (work: Work) => Promise<void>> = {
  print,
  install,
  uninstall,
  start,
  stop,
  status,
};

async function print(work: Work): Promise<void> {
  const { invocation, context, platform } = work;
  const { spec, installation } = await plan(work);
  if (invocation.flag("format") !== undefined) {
    choice("format", invocation, ["winsw"]);
    if (platform !== "windows" || spec === undefined) {
      throw usageError("print for WinSW", "it is for Windows", "Add --platform windows");
    }
    context.stdout.write(winswXml(spec));
    return;
  }
  const files = installation.files.map((file) => isSecret(file) ? { ...file, text: "(the token)\n" } : file);
  if (invocation.has("json")) {
    say(work, { type: "service", action: "print", platform, name: spec?.name, ...installation, files });
    return;
  }
  // What is printed can be put into a file as it is; what it is, and what comes next, stands beside it.
  const note = (text: string) => context.stderr.write(`${visible(text)}\n`);
  for (const { path, text, mode } of files) {
    note(`${path}${mode === undefined ? "" : ` (mode ${mode.toString(8)})`}:`);
    context.stdout.write(text);
  }
  if (installation.commands.length > 0) note("then:");
  for (const words of installation.commands) {
    if (platform === "windows") context.stdout.write(`${windowsCommandLine(words)}\n`);
    else note(`  ${shellLine(words)}`);
  }
}

async function install(work: Work): Promise<void> {
  const { invocation, context, run, places } = work;
  const { spec, installation } = await plan(work);
  if (work.platform !== "windows" && work.scope === "system" && Deno.uid() !== 0) {
    throw new FilesyncError({
      code: "permission",
      operation: "install a service of the system",
      reason: "only root may do that",
      hint: "Use sudo, or --scope user for a service of your own",
      permanent: true,
    });
  }
  const done = await applyInstallation(installation, (file, text) => isOurs(file, text, spec), run);
  if (spec === undefined) {
    const next = "systemctl enable --now filesync@$(systemd-escape -p /srv/photos).service";
    return tell(work, done, { action: "install", name: "filesync@", next });
  }
  const now = invocation.has("now");
  if (now) await runOrThrow(places.manager.start(spec.name), run);
  const caution = cautionFor(spec);
  tell(work, done, {
    action: "install",
    name: spec.name,
    state: now ? "started" : undefined,
    caution,
    next: now ? `filesync service status ${spec.name}` : `filesync service start ${spec.name}`,
  });
  // A session that ends takes its services along.
  if (work.platform === "linux" && work.scope === "user" && !invocation.has("json")) {
    context.stdout.write("  To let it run while nobody is logged in: loginctl enable-linger\n");
  }
}

async function uninstall(work: Work): Promise<void> {
  const name = await nameOf(work);
  const { places, run } = work;
  await refuseUnknown(name, work);
  const removal = places.manager.uninstall(name);
  const files = [...removal.files, ...places.ownFiles(name)];
  const done = await applyRemoval({ ...removal, files }, run);
  tell(work, done, { action: "uninstall", name });
}

async function start(work: Work): Promise<void> {
  const name = await nameOf(work);
  await refuseUnknown(name, work);
  await runOrThrow(work.places.manager.start(name), work.run);
  tell(work, undefined, { action: "start", name, state: "started", next: `filesync service status ${name}` });
}

async function stop(work: Work): Promise<void> {
  const name = await nameOf(work);
  await refuseUnknown(name, work);
  await runOrThrow(work.places.manager.stop(name), work.run);
  tell(work, undefined, { action: "stop", name, state: "stopped" });
}

async function status(work: Work): Promise<void> {
  const { context, places, run, words, invocation } = work;
  const named = words.length > 0 || invocation.flag("name") !== undefined;
  const names = named ? [await nameOf(work)] : await places.manager.installed();
  const all = await Promise.all(names.map((name) => places.manager.status(name, run, LOG_LINES)));
  if (invocation.has("json")) {
    for (const one of all) say(work, { type: "service", action: "status", scope: work.scope, ...one });
  } else if (all.length === 0) {
    context.stdout.write(
      `There is no service of the ${work.scope}\n  Make one with: filesync service install serve <dir>\n`,
    );
  } else context.stdout.write(all.map((one) => statusText(one, context)).join("\n"));
}

function statusText({ name, state, detail, pid, restarts, log }: ServiceStatus, context: Context): string {
  const style = createStyle(context.colors);
  const tint = { running: style.green, failed: style.red }[state as string] ?? style.yellow;
  const facts = [
    pid === undefined ? "" : `process ${pid}`,
    restarts === undefined ? "" : `started again ${restarts} times`,
  ].filter((fact) => fact !== "");
  const lines = [
    `${style.bold(name)}: ${tint(state === "absent" ? "not installed" : state)}${
      facts.length === 0 ? "" : ` (${facts.join(", ")})`
    }`,
    ...(detail === undefined ? [] : [`  ${visible(detail)}`]),
    ...log.map((line) => `    ${style.dim(visible(line))}`),
  ];
  return `${lines.join("\n")}\n`;
}

/** What shall be installed: the service of a command line, or the template. */
async function plan(work: Work): Promise<{ spec?: ServiceSpec; installation: Installation }> {
  const { invocation, context, commands, run, platform, scope, places, words } = work;
  const isHere = platform === platformHere();
  const executable = isHere && context.executable !== undefined ? context.executable : places.executable;
  if (invocation.arguments[0] === "install" && context.executable === undefined) {
    throw new FilesyncError({
      code: "unsupported",
      operation: "install a service",
      reason: "this is filesync run from its source",
      hint: "Build the executable with deno task build, and install with that",
      permanent: true,
    });
  }
  if (invocation.has("template")) {
    if (platform !== "linux" || scope !== "system" || words.length > 0) {
      throw usageError("make a template", "it is one for all directories, of the system's systemd");
    }
    const account = invocation.flag("user") ?? "root";
    return { installation: templateInstallation(places.directory!, executable, account) };
  }
  const spec = await readJob(words, commands, context, {
    ...places,
    scope,
    executable,
    isHere,
    name: givenName(invocation),
    account: invocation.flag("user"),
  });
  // Windows' services run as LocalSystem unless told otherwise.
  if (scope === "system" && isHere && platform !== "windows") {
    spec.account ??= await ownerOf(spec.belongsTo ?? spec.args[1], run);
  }
  const isInstalled = invocation.arguments[0] === "install" && platform === "windows" &&
    (await places.manager.installed()).includes(spec.name);
  return { spec, installation: places.manager.install(spec, isInstalled) };
}

/** Whether an earlier installation of the same service made `file`, whose text is now `text`. */
function isOurs(file: ServiceFile, text: string, spec: ServiceSpec | undefined): boolean {
  if (isSecret(file) || spec === undefined) return true;
  // The same mark, and the same command and directory.
  const [mark] = file.text.split("\n");
  const job = (unit: string) => /^Description=filesync (.*?)( to .*)?$/m.exec(unit)?.[1];
  return mark.startsWith("<?xml") || (text.startsWith(mark) && job(text) === job(file.text));
}

function isSecret({ mode }: ServiceFile): boolean {
  return mode === 0o600;
}

/** The account that owns a directory. */
async function ownerOf(directory: string, run: RunCommand): Promise<string> {
  let uid: number | null;
  try {
    ({ uid } = Deno.statSync(directory));
  } catch {
    throw usageError(
      `make a service for "${directory}"`,
      "it does not exist",
      "Create it, or correct the path",
    );
  }
  return (await runOrThrow(["id", "-un", String(uid)], run)).trim();
}

/** The service that is meant: by `--name`, by a word, or by the line that it was installed with. */
async function nameOf(work: Work): Promise<string> {
  const { invocation, words, places, commands, context, scope } = work;
  const given = givenName(invocation);
  if (given !== undefined) return given;
  if (words.length === 0) {
    const installed = await places.manager.installed();
    if (installed.length === 1) return installed[0];
    throw usageError(
      `${invocation.arguments[0]} a service`,
      "its name is missing",
      installed.length === 0 ? "None is installed" : `There are ${installed.join(", ")}`,
    );
  }
  if (words.length > 1) {
    // Only the name counts: flags that are required may be left out.
    const line = words.slice(0, 2);
    if (words[0] === "watch") line.push("--to=./");
    if (words[0] === "sync") line.push("./", "--watch");
    return (await readJob(line, commands, context, { ...places, scope, executable: "", isHere: true })).name;
  }
  const name = fullName(words[0]);
  if (name === undefined) throw badName(words[0]);
  return name;
}

function givenName(invocation: Invocation): string | undefined {
  const given = invocation.flag("name");
  if (given === undefined) return undefined;
  const name = fullName(given);
  if (name === undefined) throw badName(given);
  return name;
}

function badName(name: string) {
  return usageError(
    `name a service ${JSON.stringify(name)}`,
    "names are of letters, digits, dots, dashes and underscores",
    "filesync service status lists those that are installed",
  );
}

/** Nothing but services of ours is started, stopped or taken away. */
async function refuseUnknown(name: string, { places, scope, invocation }: Work): Promise<void> {
  const installed = await places.manager.installed();
  if (installed.includes(name)) return;
  throw new FilesyncError({
    code: "not-found",
    operation: `${invocation.arguments[0]} the service ${name}`,
    reason: `the ${scope} has no such service`,
    hint: installed.length === 0
      ? `None is installed here; --scope ${scope === "user" ? "system" : "user"} looks there`
      : `There are ${installed.join(", ")}`,
    permanent: true,
  });
}

/** Runs the command line as what Windows' service manager has started. */
async function runAsService(
  words: string[],
  invocation: Invocation,
  context: Context,
  commands: readonly CommandEntry[],
): Promise<number> {
  if (Deno.build.os !== "windows") {
    throw usageError("run as a service", "this is how Windows starts it", "Use filesync service start");
  }
  return await runWindowsService(
    givenName(invocation) ?? "filesync",
    (signal, onReload) => main(words, commands, { ...context, signal, onReload }),
  );
}

/** What an action has to tell. */
interface Told {
  action: Action;
  name: string;
  state?: string;
  caution?: string;
  /** A command line. */
  next?: string;
}

function tell(work: Work, done: Applied | undefined, { action, name, state, caution, next }: Told): void {
  const { context, invocation, scope } = work;
  if (invocation.has("json")) {
    return say(work, { type: "service", action, scope, name, state, ...done, caution, next });
  }
  const lines = [
    ...(done?.written ?? []).map((path) => `wrote ${quotePath(path)}`),
    ...(done?.kept ?? []).map((path) => `${quotePath(path)} is as it should be`),
    ...(done?.removed ?? []).map((path) => `removed ${quotePath(path)}`),
    ...(done?.commands ?? []).map((words) => `ran ${visible(shellLine(words))}`),
    ...(state === undefined ? [] : [`${name} is ${state}`]),
    ...(caution === undefined ? [] : [`  ${caution}`]),
    ...(next === undefined ? [] : [`  Next: ${next}`]),
  ];
  context.stdout.write(`${lines.join("\n")}\n`);
}

function say({ context }: Work, object: { type: string; [field: string]: unknown }): void {
  context.stdout.write(jsonLine(context.clock.now(), object));
}

/** Words as one would type them. */
function shellLine(words: readonly string[]): string {
  return words.map((word) => /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`)
    .join(" ");
}

/** The value of a flag that takes one of a few. */
function choice<T extends string>(flag: string, invocation: Invocation, among: readonly T[]): T | undefined {
  const value = invocation.flag(flag);
  if (value === undefined) return undefined;
  const found = among.find((one) => one === value);
  if (found !== undefined) return found;
  throw usageError(
    `use ${JSON.stringify(value)} for --${flag}`,
    `there is no such ${flag}`,
    `${didYouMean(value, among)}Write ${anyOf(among)}`,
  );
}

async function runCommand([command, ...args]: readonly string[]) {
  const { code, stdout, stderr } = await new Deno.Command(command, {
    args,
    env: { LC_ALL: "C" },
    stdin: "null",
  }).output();
  const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
  return { code, stdout: text(stdout), stderr: text(stderr) };
}
