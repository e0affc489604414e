import { assertEquals, assertMatch, assertStringIncludes, assertThrows } from "@std/assert";
import type { Digest } from "../core/digest.ts";
import { FilesyncError } from "../core/errors.ts";
import { PARTIAL, REPLACED, type Snapshot } from "./snapshots.ts";
import { namedVersions, resolveVersion } from "./version_names.ts";

const HOUR = 3_600_000;
const NOW = new Date(2026, 10, 22, 12).getTime();

function snapshot(number: number, time: number): Snapshot {
  const digest = "0".repeat(64) as Digest;
  return { number, tree: 1, time, digest, files: 0, directories: 0, symlinks: 0, bytes: 0, reason: "" };
}

const SNAPSHOTS = [
  snapshot(2, new Date(2026, 10, 19, 23, 59).getTime()),
  snapshot(5, new Date(2026, 10, 20, 18).getTime()),
  snapshot(7, new Date(2026, 10, 20, 23, 59, 59, 999).getTime()),
  snapshot(8, NOW - HOUR),
];

Deno.test("resolveVersion() knows names, numbers and times", () => {
  const names: [string, number][] = [
    ["latest", 8],
    [" Latest ", 8],
    ["previous", 7],
    ["5", 5],
    ["#5", 5],
    ["2026-11-20", 7],
    ["2026-11-19", 2],
    ["2026-11-20T18:00", 5],
    ["2026-11-20 17:59:59", 2],
    [new Date(2026, 10, 20, 18).toISOString(), 5],
    ["2027-01-01", 8],
    ["30m", 8],
    ["61m", 7],
    ["1h", 8],
    ["2d", 2],
    ["40h ago", 5],
    ["1d12h", 7],
  ];
  for (const [name, number] of names) assertEquals(resolveVersion(name, SNAPSHOTS, NOW).number, number, name);
});

Deno.test("resolveVersion() does not take what an interrupted sync left for the previous one", () => {
  const partial = { ...snapshot(7, NOW - 2 * HOUR), reason: PARTIAL };
  const snapshots = [SNAPSHOTS[0], partial, SNAPSHOTS[3]];
  assertEquals(resolveVersion("previous", snapshots, NOW).number, 2);
  assertEquals(resolveVersion("7", snapshots, NOW).number, 7);
});

Deno.test("namedVersions() does not call what a restore took the place of the latest", () => {
  const replaced = { ...snapshot(9, NOW), reason: REPLACED };
  const named = (snapshots: Snapshot[]) => {
    const { latest, previous } = namedVersions(snapshots);
    return [latest?.number, previous?.number];
  };
  assertEquals(named([...SNAPSHOTS, replaced]), [8, 7]);
  assertEquals(named([...SNAPSHOTS, replaced, snapshot(10, NOW)]), [10, 9]);
  assertEquals(named([replaced]), [9, undefined]);
  assertEquals(named([]), [undefined, undefined]);
});

Deno.test("resolveVersion() says what there is when there is none of that name", () => {
  const failure = (name: string, snapshots = SNAPSHOTS) =>
    assertThrows(() => resolveVersion(name, snapshots, NOW), FilesyncError) as FilesyncError;
  for (const name of ["6", "2026-11-18", "9d", "0"]) {
    const error = failure(name);
    assertEquals(error.code, "not-found");
    assertStringIncludes(error.hint!, "There are 2, 5, 7, 8, from 2026-11-");
  }
  assertMatch(failure("previous", SNAPSHOTS.slice(0, 1)).hint!, /^There is 2, of 2026-11-\S+$/);
  assertStringIncludes(failure("latest", []).reason, "no versions yet");
  const many = Array.from({ length: 20 }, (_, i) => snapshot(i + 1, i));
  assertStringIncludes(failure("99", many).hint!, "There are 1, 2, 3, … 18, 19, 20, from");
  for (
    const name of [
      "2026-02-30T10:00",
      "",
      "last",
      "-1",
      "1.5",
      "2026-02-30",
      "2026-11-20T25:00",
      "20.11.2026",
    ]
  ) {
    assertEquals(failure(name).code, "usage", name);
  }
});
