/**
 * Units of systemd. A unit of the system is shut in as far as the program can bear, see systemd.exec(5);
 * one of a user has what needs no privileges.
 *
 * Never `MemoryDenyWriteExecute`, which V8 dies of, and no `ProcSubset=pid`, which would hide
 * `/proc/meminfo`. `openat2`, `statx` and `syncfs` are in `@system-service`.
 *
 * @module
 */
import type { ServiceSpec } from "./manager.ts";
import { unitText, unitWord } from "./systemd_quote.ts";

/** Sections of a unit file: each a name and its settings, in order. */
type Section = [name: string, settings: [key: string, value: string][]];

/** First line of every file of ours: nothing without it is overwritten or removed. */
export const MARK = "# Made by `filesync service install`; `filesync service uninstall` removes it.";

/** What needs no privileges. */
const FOR_EVERYBODY: [string, string][] = [
  ["NoNewPrivileges", "yes"],
  ["LockPersonality", "yes"],
  ["RestrictNamespaces", "yes"],
  ["RestrictRealtime", "yes"],
  ["RestrictAddressFamilies", "AF_INET AF_INET6 AF_UNIX"],
  ["SystemCallArchitectures", "native"],
  ["SystemCallFilter", "@system-service"],
  ["SystemCallFilter", "~@privileged @resources"],
  ["SystemCallErrorNumber", "EPERM"],
];

const FOR_THE_SYSTEM: [string, string][] = [
  ["ProtectSystem", "strict"],
  ["PrivateDevices", "yes"],
  ["DevicePolicy", "closed"],
  ["ProtectHostname", "yes"],
  ["ProtectClock", "yes"],
  ["ProtectKernelTunables", "yes"],
  ["ProtectKernelModules", "yes"],
  ["ProtectKernelLogs", "yes"],
  ["ProtectControlGroups", "yes"],
  ["ProtectProc", "invisible"],
  ["RemoveIPC", "yes"],
  ["KeyringMode", "private"],
  ["PrivateMounts", "yes"],
];

const RELOAD: [string, string] = ["ExecReload", "/bin/kill -HUP $MAINPID"];

/** Root without these may not read, or write, what belongs to others. */
const ROOTS_CAPABILITIES = {
  read: ["CAP_DAC_READ_SEARCH"],
  write: ["CAP_DAC_READ_SEARCH", "CAP_DAC_OVERRIDE", "CAP_FOWNER", "CAP_FSETID"],
};

/** The unit of one service. */
export function systemdUnit(spec: ServiceSpec): string {
  const { executable, args, scope } = spec;
  // The colon: no variables are expanded.
  const start = [`:${unitWord(executable)}`, ...args.map(unitWord)].join(" ");
  return unitFile(unitText(spec.description), scope, [
    ["ExecStart", start],
    ...(spec.reloads ? [RELOAD] : []),
    ...(scope === "system" && spec.account !== undefined
      ? [["User", unitWord(spec.account)] as [string, string]]
      : []),
    ...(scope === "system" ? confinement(spec) : []),
  ]);
}

/**
 * The template `filesync@.service`. Its instance is an escaped path: `systemctl start
 * filesync@$(systemd-escape -p /srv/photos)` serves `/srv/photos`. Settings stand as `FILESYNC_…` in
 * `/etc/filesync/<instance>.env`, and so does `COMMAND=watch`.
 */
export function systemdTemplate(executable: string, account: string): string {
  return unitFile("filesync of %f", "system", [
    ["Environment", `COMMAND=serve "TREE=%f" "FILESYNC_STATE=%S/filesync/%i"`],
    ["EnvironmentFile", "-/etc/filesync/%i.env"],
    // Without the colon: both are variables. What they hold is not expanded again.
    ["ExecStart", `${unitWord(executable)} \${COMMAND} \${TREE}`],
    RELOAD,
    ["User", unitWord(account)],
    ["StateDirectory", "filesync/%i"],
    ["StateDirectoryMode", "0700"],
    ["ReadWritePaths", "%f"],
    // What is below /home may be served, too.
    ["ProtectHome", "read-only"],
    ["PrivateTmp", "yes"],
    ...capabilities({ account, privilegedPort: false, canWrite: true }),
  ]);
}

function unitFile(description: string, scope: ServiceSpec["scope"], job: [string, string][]): string {
  const sections: Section[] = [
    ["Unit", [
      ["Description", description],
      ...(scope === "system"
        ? [["Wants", "network-online.target"], ["After", "network-online.target"]] as [string, string][]
        : []),
      // Whatever is wrong now may be right later: a disk is mounted, a network comes back.
      ["StartLimitIntervalSec", "0"],
    ]],
    ["Service", [
      ["Type", "notify"],
      ...job,
      ["Restart", "always"],
      ["RestartSec", "5s"],
      // 130: interrupted, as asked. 2: wrong usage, which no new start makes right.
      ["SuccessExitStatus", "130"],
      ["RestartPreventExitStatus", "2"],
      ["KillMode", "mixed"],
      ["TimeoutStopSec", "30s"],
      ["WatchdogSec", "2min"],
      ...(scope === "system" ? FOR_THE_SYSTEM : []),
      ...FOR_EVERYBODY,
    ]],
    ["Install", [["WantedBy", scope === "system" ? "multi-user.target" : "default.target"]]],
  ];
  const text = sections.map(([name, settings]) =>
    [`[${name}]`, ...settings.map(([key, value]) => `${key}=${value}`), ""].join("\n")
  ).join("\n");
  return `${MARK}\n${text}`;
}

/** What of the system a service sees and may do. */
function confinement(spec: ServiceSpec): [string, string][] {
  const { reads, writes, account = "root", privilegedPort = false, state } = spec;
  const seen = [spec.executable, ...reads, ...writes];
  const isBelow = (tops: string[]) =>
    seen.some((path) => tops.some((top) => path === top || path.startsWith(`${top}/`)));
  return [
    ...(state === undefined
      ? []
      : [["StateDirectory", state], ["StateDirectoryMode", "0700"]] as [string, string][]),
    ...(writes.length === 0
      ? []
      : [["ReadWritePaths", writes.map(unitWord).join(" ")]] as [string, string][]),
    ["ProtectHome", isBelow(["/home", "/root", "/run/user"]) ? "read-only" : "yes"],
    ["PrivateTmp", isBelow(["/tmp", "/var/tmp"]) ? "no" : "yes"],
    // Directories carry their setgid bit to where they are pushed.
    ...(writes.length === 0 ? [["RestrictSUIDSGID", "yes"] as [string, string]] : []),
    ...capabilities({ account, privilegedPort, canWrite: writes.length > 0 }),
  ];
}

function capabilities(
  { account, privilegedPort, canWrite }: { account: string; privilegedPort: boolean; canWrite: boolean },
): [string, string][] {
  const ports = privilegedPort ? ["CAP_NET_BIND_SERVICE"] : [];
  const isRoot = account === "root" || account === "0";
  const needed = isRoot ? [...ROOTS_CAPABILITIES[canWrite ? "write" : "read"], ...ports] : ports;
  return [
    ["CapabilityBoundingSet", needed.join(" ")],
    ["AmbientCapabilities", isRoot ? "" : ports.join(" ")],
    // In a user namespace capabilities would mean nothing outside of it.
    ["PrivateUsers", needed.length > 0 ? "no" : "yes"],
  ];
}
