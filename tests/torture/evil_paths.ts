/** Names and addresses that somebody who wants out of a tree would try. @module */

/** Paths as texts, for JSON and frames. */
export const EVIL_PATHS: readonly string[] = [
  // Upwards and from the root.
  ...["", ".", "..", "/", "//", "../canary", "../../canary", "a/../../canary", "a/b/../../../canary"],
  ...["./../canary", "a/./../..", "/canary", "//canary", "///canary-7f3a9c51", "~/canary", "~root/x"],
  // As Windows says it.
  ...["..\\canary", "a\\..\\..\\canary", "\\canary", "\\\\server\\share\\x", "//server/share/x"],
  ...["\\\\?\\C:\\canary", "\\\\.\\PhysicalDrive0", "C:\\canary", "C:/canary", "C:canary", "c:"],
  ...["CON", "nul", "aux.txt", "COM1", "lpt9.log", "a.", "a ", "a:b", "a|b", "a*", "a?", '"'],
  // NUL and what is no Unicode.
  ...["a\0b", "\0", "../canary\0.txt", "a/\0/..", "\ud800", "\udc00\ud800", "a\ud83d", "\ufffd"],
  // The state of the program.
  ...[
    ".filesync",
    ".filesync/token",
    ".filesync/index.db",
    ".filesync/tmp/x",
    ".FileSync/token",
    ".FILESYNC",
  ],
  ...["a/.filesync/x", ".filesync.", ".filesync ", ".filesync/", ".filesync//token", ".filesync/./token"],
  ...["./.filesync/token", "a/../.filesync/token", ".filesync::$DATA", ".filesync:stream", "FILESY~1"],
  ...["filesy~1/token", ".\uff46ilesync/token", "\uff0efilesync/token", ".file\u200csync", ".filesync\u200d"],
  ...["\ufeff.filesync", ".f\u0130lesync", ".\ufb01lesync/token"],
  // What looks like something else.
  ...["\uff0e\uff0e/canary", "\u2024\u2024/canary", "%2e%2e/canary", "%00", "..%2fcanary", "..;/canary"],
  ...["....//canary", "\u202egnp.exe", "\n", "\r\nSet-Cookie: a=b", "\x1b[2J", "<script>alert(1)</script>"],
  ...[" ", "-rf", "--", "$(touch canary)", "`id`", ";ls", "__proto__", "constructor", "toString"],
  // One name in several spellings.
  ...["caf\u00e9", "cafe\u0301", "\u212b", "\u00c5", "Stra\u00dfe", "STRASSE", "A", "a", "I\u0307", "\u0130"],
  // Long.
  ...["x".repeat(255), "x".repeat(256), "\u00e4".repeat(128), "x".repeat(70_000)],
  ...["d/".repeat(499) + "f", "d/".repeat(5_000) + "f", "d/".repeat(20_000) + "f"],
  // Through the links that are planted.
  ...["link", "link/x", "link/../canary", "out/canary", "out/../canary", "here/../../canary", "here/here/f"],
  ...["self/self", "absolute/f", "dangling", "dangling/x", "a/up/f", "a/up", "a/b/file", "a/b/file/x"],
];

/** What stands for `.`, `/` and so on in addresses: single, double, overlong and broken encodings. */
export const EVIL_ENCODED: readonly string[] = [
  ...["..", "../canary", "%2e%2e/canary", "%2E%2E%2Fcanary", "..%2fcanary", "..%5ccanary"],
  ...["%252e%252e/canary", "%252e%252e%252fcanary", "%25252e%25252e%25252fcanary"],
  ...["%c0%ae%c0%ae/canary", "%c0%ae%c0%ae%c0%afcanary", "%e0%80%ae%e0%80%ae/canary", "%f0%80%80%ae/canary"],
  ...["%u002e%u002e/canary", "%uff0e%uff0e/canary", "%ed%a0%80", "%ed%b0%80%ed%a0%80", "%ff%fe", "%80"],
  ...["%", "%2", "%zz", "%00", "a%00b", "a%00/../../canary", "%2fcanary-7f3a9c51", "/canary", "//canary"],
  ...["a//b", "a/", "a/.", "a/..", "./a", "%2e", "%2e/", "%2e%66ilesync/token", ".filesync/token"],
  ...[".FILESYNC/token", "%2Efilesync%2Ftoken", ".filesync%2f..%2fcanary", "..;/canary", "..%01/canary"],
  ...["..%0d%0a/canary", "%0d%0aSet-Cookie:%20a=b", "%09", "C:%5ccanary", "C%3a/canary"],
  ...["%5c%5cserver%5cshare", "link/x", "out/canary", "out%2fcanary", "absolute/f", "x".repeat(300)],
  ...[`${"%2e%2e/".repeat(50)}canary`, `${"d/".repeat(5_000)}f`, "?a=b", "a?mtime=1e400"],
  ...["a?mtime=-1&mode=99999999", "a?mtime=NaN&mode=0x1ff", "a?mtime=1&mtime=2", "a#b"],
];

/** The two ways to write a path in an address: its names apart, and all of it as one. */
export function encodings(path: string): string[] {
  if (!path.isWellFormed()) return [];
  return [path.split("/").map(encodeURIComponent).join("/"), encodeURIComponent(path)];
}
