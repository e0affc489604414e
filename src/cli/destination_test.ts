import { assertEquals, assertInstanceOf, assertStringIncludes, assertThrows } from "@std/assert";
import { TempDirectory } from "../../tests/support/temp.ts";
import { systemClock as clock } from "../core/clock.ts";
import { FilesyncError } from "../core/errors.ts";
import { parsePath } from "../core/path.ts";
import { HttpReceiver } from "../transport/http_receiver.ts";
import { LocalReceiver } from "../transport/local_receiver.ts";
import {
  destinationName,
  isLoopback,
  openDestination,
  type OwnDestination,
  parseDestination,
} from "./destination.ts";

function named(text: string, cwd = "/nowhere"): string {
  const destination = parseDestination(text, cwd);
  return `${destination.kind} ${destinationName(destination)}`;
}

Deno.test("parseDestination() understands servers", () => {
  assertEquals(named("backup"), "server http://backup:7433");
  assertEquals(named("backup.lan:80"), "server http://backup.lan");
  assertEquals(named("192.168.1.2:7000"), "server http://192.168.1.2:7000");
  assertEquals(named("[::1]:7000"), "server http://[::1]:7000");
  assertEquals(named("[fe80::1]"), "server http://[fe80::1]:7433");
  assertEquals(named("https://backup.example"), "server https://backup.example");
  assertEquals(named("HTTP://Backup:7433/photos/"), "server http://backup:7433/photos");
});

Deno.test("parseDestination() understands sub-directories, and what destinationName() calls them", () => {
  const into = (text: string, into?: string) => destinationName(parseDestination(text, "/nowhere", into));
  assertEquals(into("backup", "laptop"), "http://backup:7433#laptop");
  assertEquals(into("https://backup/", "a/b c#d%/é/"), "https://backup#a/b%20c%23d%25/%C3%A9");
  assertEquals(into("https://backup/x?y=1", "a"), "https://backup/x?y=1#a");
  for (
    const [address, path] of [["backup", "laptop"], ["https://backup/x", "a/b c#d%/é"], ["backup", "%41"]]
  ) {
    const name = into(address, path);
    assertEquals(into(name), name);
    const again = parseDestination(name, "/nowhere");
    assertEquals(again.kind === "server" && again.into, parsePath(path));
  }
  assertEquals(into("https://backup#a", "b"), "https://backup#b");
  const refused: [text: string, into: string | undefined, reason: string][] = [
    ["backup", "../x", 'the path has the segment ".."'],
    ["backup", "", "the path is empty"],
    ["backup", "/x", "the path is absolute"],
    ["backup", ".filesync", '".filesync" is reserved for the program\'s own state'],
    ["http://backup#a//b", undefined, "the path has an empty segment"],
    ["./copy", "x", "--into is for a server, and this is a directory"],
  ];
  for (const [text, path, reason] of refused) {
    const error = assertThrows(() => parseDestination(text, "/nowhere", path), FilesyncError);
    assertEquals([error.code, error.reason], ["usage", reason]);
  }
});

Deno.test("parseDestination() understands directories", () => {
  assertEquals(named("/srv/a"), "directory /srv/a");
  assertEquals(named("./a"), "directory /nowhere/a");
  assertEquals(named("../a"), "directory /a");
  assertEquals(named("."), "directory /nowhere");
  assertEquals(named("copy/"), "directory /nowhere/copy");
});

Deno.test("parseDestination() takes a name for a directory when there is one", () => {
  using temp = new TempDirectory();
  temp.directory("backup");
  Deno.writeTextFileSync(`${temp.path}/file`, "");
  assertEquals(named("backup", temp.path), `directory ${temp.path}/backup`);
  assertEquals(named("other", temp.path), "server http://other:7433");
  assertEquals(named("file", temp.path), "server http://file:7433");
});

Deno.test("parseDestination() refuses what is neither, and says what it takes", () => {
  const reasons: [string, string][] = [
    ["ftp://backup", "only http://, https:// and sftp:// are known"],
    ["rsync://backup/module", "only http://, https:// and sftp:// are known"],
    ["http://", "it is not a URL"],
    ["backup:99999", "ports go from 1 to 65535"],
    ["backup:0", "ports go from 1 to 65535"],
    ["backup:/srv/a", "it is neither a host nor a directory"],
    ["user@backup", "it is neither a host nor a directory"],
    ["two words", "it is neither a host nor a directory"],
    ["", "it is neither a host nor a directory"],
  ];
  for (const [text, reason] of reasons) {
    const error = assertThrows(() => parseDestination(text, "/nowhere"), FilesyncError, undefined, text);
    assertEquals([error.code, error.reason], ["usage", reason], text);
    assertStringIncludes(error.hint!, "host:port");
  }
  // Nothing is not the working directory.
  assertThrows(() => parseDestination("", "/"), FilesyncError, "it is neither a host nor a directory");
  // What has a slash may be either; neither is guessed.
  const { hint } = assertThrows(() => parseDestination("a/b", "/nowhere"), FilesyncError);
  assertEquals(hint, "Write ./a/b for a directory of this machine, or https://a/b for a server");
});

Deno.test("parseDestination() does not repeat a password", () => {
  const error = assertThrows(() => parseDestination("https://me:secret@backup", "/"), FilesyncError);
  assertEquals(error.message, 'Cannot reach "https://…@backup": a URL must not hold a password');
  assertStringIncludes(error.hint!, "FILESYNC_TOKEN");
});

Deno.test("openDestination() sends a token over plain HTTP only to this machine, or when told to", async () => {
  const { signal } = new AbortController();
  const open = (url: string, token?: string, allowPlainHttp = false) =>
    openDestination(parseDestination(url, "/") as OwnDestination, {
      clock,
      token,
      allowPlainHttp,
      client: "",
      version: "1",
      signal,
    });
  for (
    const receiver of [
      open("backup"),
      open("localhost", "t"),
      open("127.0.0.1", "t"),
      open("[::1]", "t"),
      open("https://backup", "t"),
      open("backup", "t", true),
    ]
  ) {
    assertInstanceOf(receiver, HttpReceiver);
    await receiver.close();
  }
  const error = assertThrows(() => open("backup", "t"), FilesyncError);
  assertEquals(
    error.message,
    "Cannot send the token to backup:7433: plain HTTP would show it to everybody on the way",
  );
  assertStringIncludes(error.hint!, "--allow-plain-http");
});

Deno.test("openDestination() opens a directory", async () => {
  using temp = new TempDirectory();
  const { signal } = new AbortController();
  const options = { clock, allowPlainHttp: false, client: "", version: "1", signal };
  const receiver = openDestination({ kind: "directory", path: temp.path }, options);
  assertInstanceOf(receiver, LocalReceiver);
  await receiver.close();
});

Deno.test("isLoopback() knows this machine's names", () => {
  for (const name of ["localhost", "127.0.0.1", "127.1.2.3", "::1", "[::1]"]) {
    assertEquals(isLoopback(name), true);
  }
  for (const name of ["127.0.0.1.example", "localhost.example", "128.0.0.1", "0.0.0.0", "::", "backup"]) {
    assertEquals(isLoopback(name), false, name);
  }
});
