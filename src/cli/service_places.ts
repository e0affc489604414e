/** Where each system keeps services and what belongs to them. @module */
import { join } from "@std/path";
import { launchdManager } from "../service/launchd.ts";
import type { RunCommand, ServiceManager, ServiceScope } from "../service/manager.ts";
import { systemdManager } from "../service/systemd_manager.ts";
import { windowsManager } from "../service/windows_manager.ts";
import type { Context } from "./command.ts";
import type { JobPlace } from "./service_job.ts";
import { usageError } from "./usage_error.ts";

/** Systems that there are services for. */
export const PLATFORMS = ["linux", "macos", "windows"] as const;

/** A system that there are services for. */
export type Platform = (typeof PLATFORMS)[number];

/** What is different for each system and scope. */
export interface ServicePlaces extends Pick<JobPlace, "tokenOf" | "logOf" | "stateOf"> {
  manager: ServiceManager;
  /** Where units are; absent where there are no files of that kind. */
  directory?: string;
  /** Where the executable usually is. */
  executable: string;
  /** What else a service leaves that belongs to nobody else. */
  ownFiles(name: string): string[];
}

/** This machine's system. */
export function platformHere(): Platform {
  switch (Deno.build.os) {
    case "windows":
      return "windows";
    case "darwin":
      return "macos";
    default:
      return "linux";
  }
}

/** The places of `platform`. */
export function placesOf(
  platform: Platform,
  scope: ServiceScope,
  context: Context,
  run: RunCommand,
): ServicePlaces {
  switch (platform) {
    case "linux":
      return linux(scope, context);
    case "macos":
      return macos(scope, context);
    case "windows":
      return windows(context, run);
  }
}

function linux(scope: ServiceScope, context: Context): ServicePlaces {
  const executable = "/usr/local/bin/filesync";
  if (scope === "system") {
    const directory = "/etc/systemd/system";
    const tokenOf = (name: string) => `/etc/filesync/${name}.token`;
    return {
      manager: systemdManager({ scope, directory }),
      directory,
      executable,
      tokenOf,
      stateOf: (name) => ({ path: `/var/lib/filesync/${name}`, managed: `filesync/${name}` }),
      ownFiles: (name) => [tokenOf(name)],
    };
  }
  const config = context.environment("XDG_CONFIG_HOME") || join(homeOf(context), ".config");
  const directory = join(config, "systemd", "user");
  const tokenOf = (name: string) => join(config, "filesync", `${name}.token`);
  return {
    manager: systemdManager({ scope, directory }),
    directory,
    executable,
    tokenOf,
    ownFiles: (name) => [tokenOf(name)],
  };
}

function macos(scope: ServiceScope, context: Context): ServicePlaces {
  const library = scope === "system" ? "/Library" : join(homeOf(context), "Library");
  const directory = join(library, scope === "system" ? "LaunchDaemons" : "LaunchAgents");
  const support = join(library, "Application Support", "filesync");
  const tokenOf = (name: string) => join(support, `${name}.token`);
  const logOf = (name: string) => join(library, "Logs", "filesync", `${name}.log`);
  return {
    manager: launchdManager({ scope, directory, uid: Deno.uid() ?? 0, logOf }),
    directory,
    executable: "/usr/local/bin/filesync",
    tokenOf,
    logOf,
    ...(scope === "system" ? { stateOf: (name) => ({ path: join(support, name) }) } : {}),
    ownFiles: (name) => [tokenOf(name)],
  };
}

function windows(context: Context, run: RunCommand): ServicePlaces {
  const data = `${context.environment("ProgramData") || "C:\\ProgramData"}\\filesync`;
  const tokenOf = (name: string) => `${data}\\${name}.token`;
  const logOf = (name: string) => `${data}\\logs\\${name}.log`;
  return {
    manager: windowsManager({ logOf, run }),
    executable: "C:\\Program Files\\filesync\\filesync.exe",
    tokenOf,
    logOf,
    stateOf: (name) => ({ path: `${data}\\state\\${name}` }),
    ownFiles: (name) => [tokenOf(name)],
  };
}

function homeOf(context: Context): string {
  const home = context.environment("HOME");
  if (home) return home;
  throw usageError("find a place for the service", "HOME is not set", "Set it, or use --scope system");
}
