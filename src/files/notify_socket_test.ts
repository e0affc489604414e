import { assertEquals } from "@std/assert";
import { createSocketListener } from "../../tests/support/datagrams.ts";
import { withTemp } from "../../tests/support/temp.ts";
import { openNotifySocket, unixAddress } from "./notify_socket.ts";

Deno.test("unixAddress() writes paths with a NUL at their end, and abstract names with one at their beginning", () => {
  assertEquals([...unixAddress("/a")!], [1, 0, 47, 97, 0]);
  assertEquals([...unixAddress("@a")!], [1, 0, 0, 97]);
  assertEquals([unixAddress("/" + "a".repeat(107)), unixAddress("a"), unixAddress("")], [
    undefined,
    undefined,
    undefined,
  ]);
  assertEquals(unixAddress("@" + "a".repeat(107))?.length, 110);
});

Deno.test({
  name: "NotifySocket.send() reaches a real socket, by path and by abstract name",
  ignore: Deno.build.os !== "linux",
  fn: () =>
    withTemp(async (dir) => {
      for (const address of [`${dir}/notify`, `@filesync-${crypto.randomUUID()}`]) {
        await using listener = await createSocketListener(address);
        using socket = openNotifySocket(address)!;
        socket.send("READY=1\nSTATUS=é");
        assertEquals(await listener.next(), "READY=1\nSTATUS=é");
      }
    }),
});

Deno.test({
  name: "NotifySocket never throws when nobody listens, and its clock runs on",
  ignore: Deno.build.os !== "linux",
  fn() {
    using socket = openNotifySocket("/nowhere/at/all")!;
    socket.send("READY=1");
    const before = socket.monotonic();
    assertEquals(before > 0n && socket.monotonic() >= before, true);
  },
});
