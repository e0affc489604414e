/** What `filesync doctor` checks of an SFTP server. @module */
import { STATE_DIRECTORY } from "../core/path.ts";
import { FilesyncError, nextStep } from "../core/errors.ts";
import type { Context, Invocation } from "./command.ts";
import { type Check, fail, ok, spaceCheck, warn } from "./doctor_check.ts";
import { type SftpPlace, sshTarget } from "./ssh.ts";

/** Everything between here and a directory on an SFTP server. Nothing is changed there. */
export async function* checkSftp(
  place: SftpPlace,
  invocation: Invocation,
  context: Context,
): AsyncGenerator<Check> {
  const { SftpClient } = await import("../sftp/sftp_client.ts");
  const target = { ...sshTarget(place, invocation, context), remember() {} };
  const client = await SftpClient.connect(target);
  try {
    yield ok("server", `it lets ${target.user} in`);
    const missing = [
      client.abilities.posixRename ? "" : "replace a file in one step",
      client.abilities.fsync ? "" : "wait for its disk",
    ].filter((what) => what !== "");
    yield missing.length === 0
      ? ok("abilities", "it replaces files in one step, and waits for its disk")
      : warn(
        "abilities",
        `it cannot ${missing.join(", nor ")}`,
        "A crash of that server may lose what was pushed last",
      );
    const home = place.path.startsWith("~") ? await client.realpath(".") : "";
    const path = home === "" ? place.path : home + place.path.slice(1);
    const stat = await client.lstat(await client.realpath(path));
    if (stat?.kind !== "directory") {
      return yield fail(
        "destination",
        `"${path}" is no directory there`,
        "Create it there, or correct the path",
      );
    }
    yield await client.lstat(`${path}/${STATE_DIRECTORY}/index.db`) === undefined
      ? ok("destination", `"${path}" is a directory there`)
      : fail("destination", `"${path}" is served by filesync`, "Push to that server by its own address");
    const free = await client.freeBytes(path);
    if (free !== undefined) yield spaceCheck("space", free, "on the server");
  } catch (error) {
    if (!(error instanceof FilesyncError)) throw error;
    yield fail("destination", error.message, nextStep(error));
  } finally {
    client.close();
  }
}
