/** Services of Windows, by `sc.exe`; the program itself answers the service manager (windows_service.ts). @module */
import { dirname } from "@std/path";
import {
  type Installation,
  NAME_PREFIX,
  type RunCommand,
  type ServiceManager,
  type ServiceSpec,
  type ServiceStatus,
} from "./manager.ts";
import { xml } from "./launchd.ts";
import { tailOf } from "./log_tail.ts";

/** Settings of {@linkcode windowsManager}. */
export interface WindowsOptions {
  /** The file that a service logs to. */
  logOf(name: string): string;
  run: RunCommand;
}

/** The manager of the system's services; Windows has no others. */
export function windowsManager({ logOf, run }: WindowsOptions): ServiceManager {
  return {
    install: (spec, isInstalled): Installation => ({
      directories: spec.log === undefined ? [] : [dirname(spec.log)],
      files: spec.token?.value === undefined
        ? []
        : [{ path: spec.token.path, text: `${spec.token.value}\r\n`, mode: 0o600 }],
      commands: [
        ...(spec.token?.value === undefined ? [] : [lockAway(spec.token.path, spec.account)]),
        [...SC, isInstalled ? "config" : "create", spec.name, ...settingsOf(spec)],
        [...SC, "description", spec.name, spec.description],
        // Started again after 5, 5 and then always 60 seconds; counted anew after a day.
        [
          ...SC,
          "failure",
          spec.name,
          "reset=",
          "86400",
          "actions=",
          "restart/5000/restart/5000/restart/60000",
        ],
        [...SC, "failureflag", spec.name, "1"],
      ],
    }),
    uninstall: (name) => ({ before: [[...SC, "stop", name]], files: [], after: [[...SC, "delete", name]] }),
    start: (name) => [...SC, "start", name],
    stop: (name) => [...SC, "stop", name],
    async installed() {
      const { stdout } = await run([
        ...SC,
        "query",
        "type=",
        "service",
        "state=",
        "all",
        "bufsize=",
        "262144",
      ]);
      return [...stdout.matchAll(/^SERVICE_NAME:\s*(\S+)\s*$/gm)].map(([, name]) => name)
        .filter((name) => name.startsWith(NAME_PREFIX)).sort();
    },
    async status(name, run, logLines) {
      const { stdout } = await run([...SC, "queryex", name]);
      return { name, ...parseQuery(stdout), log: tailOf(logOf(name), logLines) };
    },
  };
}

const SC = ["sc.exe"];

/** What `sc.exe create` and `sc.exe config` are told of a service. Spaces after the equals signs are theirs. */
export function settingsOf(spec: ServiceSpec): string[] {
  return [
    "binPath=",
    windowsCommandLine([spec.executable, "service", "run", "--name", spec.name, "--", ...spec.args]),
    "start=",
    "delayed-auto",
    "DisplayName=",
    spec.description,
    ...(spec.account === undefined ? [] : ["obj=", spec.account]),
  ];
}

/** Lets only the system, administrators and the service's account read a file: by SID, since names are translated. */
function lockAway(path: string, account?: string): string[] {
  const grants = ["*S-1-5-18:F", "*S-1-5-32-544:F", ...(account === undefined ? [] : [`${account}:R`])];
  return ["icacls.exe", path, "/inheritance:r", ...grants.flatMap((grant) => ["/grant:r", grant])];
}

/**
 * Words as one command line, which `CommandLineToArgvW` takes apart again: backslashes count only before a
 * quotation mark ("Everyone quotes command line arguments the wrong way", Daniel Colascione, 2011).
 */
export function windowsCommandLine(words: readonly string[]): string {
  return words.map((word) =>
    /^[^\s"]+$/.test(word)
      ? word
      : `"${word.replace(/(\\*)("|$)/g, (_, slashes, quote) => slashes + slashes + (quote && '\\"'))}"`
  ).join(" ");
}

/** Numbers of `SERVICE_STATUS.dwCurrentState`; their names are not translated. */
const STATES: Record<string, ServiceStatus["state"]> = {
  STOPPED: "stopped",
  START_PENDING: "starting",
  STOP_PENDING: "stopping",
  RUNNING: "running",
  CONTINUE_PENDING: "starting",
  PAUSE_PENDING: "stopping",
  PAUSED: "stopped",
};

/** What `sc.exe queryex` says of a service. */
export function parseQuery(text: string): Omit<ServiceStatus, "name" | "log"> {
  const state = STATES[/:\s+[1-7]\s+([A-Z_]+)/.exec(text)?.[1] ?? ""];
  if (state === undefined) return { state: "absent" };
  const pid = Number(/^\s*PID\s*:\s*(\d+)/m.exec(text)?.[1]);
  const exit = Number(/WIN32_EXIT_CODE\s*:\s*(\d+)/.exec(text)?.[1]);
  // 1066: the code that counts is the service's own. 1077: it has never been started.
  const own = exit === 1066 ? Number(/SERVICE_EXIT_CODE\s*:\s*(\d+)/.exec(text)?.[1]) : 0;
  const hasFailed = state === "stopped" && ((exit !== 0 && exit !== 1066 && exit !== 1077) || own !== 0);
  return {
    state: hasFailed ? "failed" : state,
    ...(pid > 0 ? { pid } : {}),
    ...(hasFailed ? { detail: `it ended with the code ${own || exit}` } : {}),
  };
}

/** The settings of WinSW, a program that runs others as services (WinSW 2.12, "XML configuration file"). */
export function winswXml(spec: ServiceSpec): string {
  const { name, description, executable, args, account } = spec;
  return `<!-- Beside it: WinSW's executable as ${xml(name)}.exe; then: ${xml(name)}.exe install -->
<service>
  <id>${xml(name)}</id>
  <name>${xml(description)}</name>
  <description>${xml(description)}</description>
  <executable>${xml(executable)}</executable>
  <arguments>${xml(windowsCommandLine(args))}</arguments>
  <startmode>Automatic</startmode>
  <delayedAutoStart>true</delayedAutoStart>
  <onfailure action="restart" delay="5 sec"/>
  <stoptimeout>30 sec</stoptimeout>
  <log mode="roll-by-size"/>
${
    account === undefined
      ? ""
      : `  <serviceaccount><username>${xml(account)}</username></serviceaccount>\n`
  }</service>
`;
}
