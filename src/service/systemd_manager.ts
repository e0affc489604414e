/** Services of systemd: units in the system's directory, or in a user's. @module */
import { join } from "@std/path";
import {
  fullName,
  type Installation,
  NAME_PREFIX,
  type RunCommand,
  type ServiceManager,
  type ServiceScope,
  type ServiceSpec,
  type ServiceStatus,
  type Words,
} from "./manager.ts";
import { systemdTemplate, systemdUnit } from "./systemd_unit.ts";

/** Settings of {@linkcode systemdManager}. */
export interface SystemdOptions {
  scope: ServiceScope;
  /** Where units are. */
  directory: string;
}

/** The manager of the system's units, or of a user's. */
export function systemdManager({ scope, directory }: SystemdOptions): ServiceManager {
  const systemctl = (...words: string[]): Words => [
    "systemctl",
    ...(scope === "user" ? ["--user"] : []),
    ...words,
  ];
  const unitPath = (name: string) => join(directory, `${name}.service`);
  return {
    install: (spec) => ({
      directories: [],
      files: [
        { path: unitPath(spec.name), text: systemdUnit(spec) },
        ...(spec.token?.value === undefined
          ? []
          : [{ path: spec.token.path, text: `${spec.token.value}\n`, mode: 0o600 }]),
      ],
      commands: [
        ...tokenOwner(spec),
        systemctl("daemon-reload"),
        systemctl("enable", `${spec.name}.service`),
        // Runs what has changed, and leaves alone what does not run.
        systemctl("try-restart", `${spec.name}.service`),
      ],
    }),
    uninstall: (name) => ({
      before: [systemctl("disable", "--now", `${name}.service`)],
      files: [unitPath(name)],
      after: [systemctl("daemon-reload")],
    }),
    start: (name) => systemctl("start", `${name}.service`),
    stop: (name) => systemctl("stop", `${name}.service`),
    installed: () => Promise.resolve(namesIn(directory, ".service")),
    async status(name, run, logLines) {
      const { stdout } = await run(
        systemctl("show", `--property=${PROPERTIES.join()}`, `${name}.service`),
      );
      return { ...parseShow(name, stdout), log: await journal(name, scope, run, logLines) };
    },
  };
}

/** The template unit, see {@linkcode systemdTemplate}. */
export function templateInstallation(directory: string, executable: string, account: string): Installation {
  return {
    directories: ["/etc/filesync"],
    files: [{ path: join(directory, "filesync@.service"), text: systemdTemplate(executable, account) }],
    commands: [["systemctl", "daemon-reload"]],
  };
}

/** Gives the token's file to the account that reads it. */
export function tokenOwner({ token, scope, account }: ServiceSpec): Words[] {
  if (token?.value === undefined || scope === "user" || account === undefined) return [];
  return [["chown", account, token.path]];
}

/** Names of services by the files in `directory` that end in `extension`. */
export function namesIn(directory: string, extension: string): string[] {
  try {
    return [...Deno.readDirSync(directory)].flatMap(({ name }) => {
      const bare = name.slice(0, -extension.length);
      return name.endsWith(extension) && bare.startsWith(NAME_PREFIX) && fullName(bare) === bare
        ? [bare]
        : [];
    }).sort();
  } catch {
    return [];
  }
}

const PROPERTIES = ["LoadState", "ActiveState", "StatusText", "MainPID", "NRestarts", "Result"];

const STATES: Record<string, ServiceStatus["state"]> = {
  active: "running",
  reloading: "running",
  activating: "starting",
  deactivating: "stopping",
  failed: "failed",
};

/** What `systemctl show` says, in {@linkcode PROPERTIES}. */
export function parseShow(name: string, text: string): Omit<ServiceStatus, "log"> {
  const values = new Map(
    text.split("\n").map((line): [string, string] => {
      const at = line.indexOf("=");
      return [line.slice(0, at), line.slice(at + 1)];
    }),
  );
  if (values.get("LoadState") !== "loaded") return { name, state: "absent" };
  const state = STATES[values.get("ActiveState") ?? ""] ?? "stopped";
  const detail = values.get("StatusText") || (state === "failed" ? values.get("Result") : undefined);
  const pid = Number(values.get("MainPID"));
  const restarts = Number(values.get("NRestarts"));
  return {
    name,
    state,
    ...(detail ? { detail } : {}),
    ...(pid > 0 ? { pid } : {}),
    ...(restarts > 0 ? { restarts } : {}),
  };
}

async function journal(
  name: string,
  scope: ServiceScope,
  run: RunCommand,
  lines: number,
): Promise<string[]> {
  const unit = scope === "user" ? `--user-unit=${name}.service` : `--unit=${name}.service`;
  try {
    const { stdout } = await run([
      "journalctl",
      unit,
      `--lines=${lines}`,
      "--output=short-iso",
      "--no-pager",
      "--quiet",
    ]);
    return stdout.split("\n").filter((line) => line !== "");
  } catch {
    // A system may keep no journal.
    return [];
  }
}
