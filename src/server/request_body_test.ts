import { assert, assertEquals } from "@std/assert";
import { FakeClock } from "../../tests/support/fake_clock.ts";
import { type ServedTree, serveTree } from "../../tests/support/subjects.ts";
import { systemClock } from "../core/clock.ts";
import { FRAMES_TYPE } from "../core/frames.ts";

/** A body that the test sends piece by piece. */
function openBody() {
  let controller!: ReadableStreamDefaultController<Uint8Array<ArrayBuffer>>;
  const body = new ReadableStream<Uint8Array<ArrayBuffer>>({ start: (given) => void (controller = given) });
  return {
    body,
    send: (bytes: number) => controller.enqueue(new Uint8Array(bytes)),
    end: () => controller.close(),
  };
}

/** Lets everything that waits for no clock happen. */
async function settled(): Promise<void> {
  for (let i = 0; i < 5; i++) await systemClock.sleep(0);
}

const ROUTES = [["PUT", "/v1/files/a"], ["PUT", "/v1/directories/d"], ["POST", "/v1/move"], [
  "POST",
  "/v1/batch",
]];

async function expectTimeout(
  served: ServedTree,
  clock: FakeClock,
  method: string,
  path: string,
  length?: string,
) {
  const { body, send } = openBody();
  const headers = {
    ...length && { "content-length": length },
    "content-type": path === "/v1/batch" ? FRAMES_TYPE : "application/json",
  };
  let response: Response | undefined;
  served.request(method, path, { body, headers }).then((answer) => response = answer);
  send(10);
  await settled();
  await clock.advance(20_000);
  await settled();
  assertEquals(response, undefined);
  for (let i = 0; i < 3; i++) {
    await clock.advance(10_000);
    await settled();
  }
  assertEquals([response?.status, (await response?.json()).code], [408, "timeout"], `${method} ${path}`);
}

Deno.test("a body that does not come is given up", async () => {
  const clock = new FakeClock();
  await using served = await serveTree({ clock });
  for (const [method, path] of ROUTES) {
    await expectTimeout(served, clock, method, path);
    await expectTimeout(served, clock, method, path, "20");
  }
  assertEquals(served.receiver.index.sequence, 0);
  assertEquals(served.failures, []);
});

Deno.test("a body that trickles is given up, and one that only takes long is not", async () => {
  const clock = new FakeClock();
  await using served = await serveTree({ clock });
  const upload = async (bytes: number, pieces: number) => {
    const { body, send, end } = openBody();
    let status: number | undefined;
    served.request("PUT", "/v1/files/a", { body }).then((answer) => {
      status = answer.status;
      return answer.body?.cancel();
    });
    for (let i = 0; i < pieces && status === undefined; i++) {
      send(bytes);
      await settled();
      await clock.advance(10_000);
    }
    if (status === undefined) end();
    for (let i = 0; i < 200 && status === undefined; i++) await systemClock.sleep(5);
    return status;
  };
  assertEquals(await upload(1, 1_000), 408);
  assertEquals(await upload(50_000, 20), 200);
  assert(Deno.statSync(`${served.directory}/a`).size === 1_000_000);
});
