import { assert, assertEquals, assertThrows } from "@std/assert";
import { FilesyncError } from "../core/errors.ts";
import { requireWorkerRoom } from "./worker_room.ts";

Deno.test("requireWorkerRoom() opens what workers need, and closes it again", () => {
  let [open, most] = [0, 0];
  const file = () => {
    most = Math.max(most, ++open);
    return { [Symbol.dispose]: () => void open-- };
  };
  requireWorkerRoom(1, file);
  const one = most;
  requireWorkerRoom(3, file);
  assertEquals([open, most], [0, 3 * one]);
  requireWorkerRoom();
});

Deno.test("requireWorkerRoom() says what to do when no more files can be opened", () => {
  let open = 0;
  const full = () => {
    if (open === 5) throw Object.assign(new Error("Too many open files"), { code: "EMFILE" });
    open++;
    return { [Symbol.dispose]: () => void open-- };
  };
  const error = assertThrows(
    () => requireWorkerRoom(1, full),
    FilesyncError,
    "too many files are open",
  ) as FilesyncError;
  assertEquals([error.code, error.permanent, open], ["io", false, 0]);
  assert(error.hint?.includes("ulimit -n"));
});
