import { assertEquals } from "@std/assert";
import { parsePath } from "../core/path.ts";
import { Outbox } from "./outbox.ts";

const A = parsePath("a");
const B = parsePath("b");

Deno.test("take() tells a path once, and deep when any wanted it deep", () => {
  const outbox = new Outbox();
  outbox.dirty(A, true);
  outbox.dirty(A);
  outbox.dirty(B);
  assertEquals(outbox.take(), { type: "dirty", looks: [{ path: A, deep: true }, { path: B, deep: false }] });
  assertEquals(outbox.take(), undefined);
});

Deno.test("take() lets notices go first, and paths before a rescan, but not twice", () => {
  const outbox = new Outbox();
  outbox.rescan("first");
  outbox.rescan("second");
  outbox.dirty(A);
  outbox.notice({ type: "root-found" });
  assertEquals(outbox.take()?.type, "root-found");
  assertEquals(outbox.take()?.type, "dirty");
  outbox.dirty(B);
  assertEquals(outbox.take(), { type: "rescan", reason: "first" });
  assertEquals(outbox.take()?.type, "dirty");
  assertEquals(outbox.take(), undefined);
});

Deno.test("dirty() makes too many paths one rescan", () => {
  const outbox = new Outbox(2);
  for (const name of ["a", "b", "c"]) outbox.dirty(parsePath(name));
  assertEquals(outbox.take()?.type, "rescan");
  assertEquals(outbox.take(), undefined);
});

Deno.test("arrival() resolves when something comes, when it is closed, and when its signal aborts", async () => {
  const outbox = new Outbox();
  const controller = new AbortController();
  for (const act of [() => outbox.dirty(A), () => controller.abort(), () => outbox.close()]) {
    const arrival = outbox.arrival(controller.signal.aborted ? undefined : controller.signal);
    act();
    await arrival;
  }
  await outbox.arrival();
});
