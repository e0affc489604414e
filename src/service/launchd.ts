/** Services of macOS: property lists that launchd reads, see launchd.plist(5). @module */
import { dirname, join } from "@std/path";
import type { Installation, ServiceManager, ServiceScope, ServiceSpec, ServiceStatus } from "./manager.ts";
import { tailOf } from "./log_tail.ts";
import { namesIn, tokenOwner } from "./systemd_manager.ts";

/** Settings of {@linkcode launchdManager}. */
export interface LaunchdOptions {
  scope: ServiceScope;
  /** Where property lists are: `~/Library/LaunchAgents`, or `/Library/LaunchDaemons`. */
  directory: string;
  /** Of the user whose session runs it. */
  uid: number;
  /** The file that a service logs to. */
  logOf(name: string): string;
}

/** The manager of the system's daemons, or of a user's agents. */
export function launchdManager({ scope, directory, uid, logOf }: LaunchdOptions): ServiceManager {
  const domain = scope === "system" ? "system" : `gui/${uid}`;
  const target = (name: string) => `${domain}/${name}`;
  const path = (name: string) => join(directory, `${name}.plist`);
  return {
    install: (spec): Installation => ({
      directories: spec.log === undefined ? [] : [dirname(spec.log)],
      files: [
        { path: path(spec.name), text: launchdPlist(spec) },
        ...(spec.token?.value === undefined
          ? []
          : [{ path: spec.token.path, text: `${spec.token.value}\n`, mode: 0o600 }]),
      ],
      commands: [
        ...tokenOwner(spec),
        ["launchctl", "enable", target(spec.name)],
      ],
    }),
    uninstall: (name) => ({
      before: [["launchctl", "bootout", target(name)]],
      files: [path(name)],
      after: [],
    }),
    start: (name) => ["launchctl", "bootstrap", domain, path(name)],
    // What is only killed would be started again.
    stop: (name) => ["launchctl", "bootout", target(name)],
    installed: () => Promise.resolve(namesIn(directory, ".plist")),
    async status(name, run, logLines) {
      const isThere = namesIn(directory, ".plist").includes(name);
      const { code, stdout } = await run(["launchctl", "print", target(name)]);
      return {
        name,
        ...(code === 0 ? parsePrint(stdout) : { state: isThere ? "stopped" : "absent" }),
        log: tailOf(logOf(name), logLines),
      };
    },
  };
}

/** The property list of a service. It runs from the start of the system, or of the session. */
export function launchdPlist(spec: ServiceSpec): string {
  const { name, executable, args, scope, account, log } = spec;
  const value = (text: string) => `<string>${xml(text)}</string>`;
  const entries: [string, string][] = [
    ["Label", value(name)],
    [
      "ProgramArguments",
      `<array>\n${[executable, ...args].map((word) => `    ${value(word)}\n`).join("")}  </array>`,
    ],
    ...(scope === "system" && account !== undefined
      ? [["UserName", value(account)] as [string, string]]
      : []),
    ["RunAtLoad", "<true/>"],
    ["KeepAlive", "<true/>"],
    ["ThrottleInterval", "<integer>5</integer>"],
    ["ExitTimeOut", "<integer>30</integer>"],
    // What it says before it can log, and warnings; all else goes to the log itself.
    ...(log === undefined ? [] : [["StandardErrorPath", value(`${log}.err`)] as [string, string]]),
  ];
  return `<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE plist PUBLIC "-//Apple//DTD PLIST 1.0//EN" "http://www.apple.com/DTDs/PropertyList-1.0.dtd">
<!-- Made by filesync service install; filesync service uninstall removes it. -->
<plist version="1.0">
<dict>
${entries.map(([key, element]) => `  <key>${key}</key>\n  ${element}\n`).join("")}</dict>
</plist>
`;
}

/** Text as XML. Characters that XML cannot hold, not even as references, are left out. */
export function xml(text: string): string {
  return text
    .replace(/[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]/g, "")
    .replace(/[&<>"']/g, (char) => `&#${char.charCodeAt(0)};`);
}

/** What `launchctl print` says of a service. */
export function parsePrint(text: string): Omit<ServiceStatus, "name" | "log"> {
  const field = (name: string) => new RegExp(`^\\s*${name} = (.+)$`, "m").exec(text)?.[1];
  const pid = Number(field("pid"));
  const exit = field("last exit code");
  const state = field("state") === "running"
    ? "running"
    : exit && !/^(0|\()/.test(exit)
    ? "failed"
    : "stopped";
  return {
    state,
    ...(pid > 0 ? { pid } : {}),
    ...(state === "failed" ? { detail: `it ended with the exit code ${exit}` } : {}),
  };
}
