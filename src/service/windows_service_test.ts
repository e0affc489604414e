import { assertEquals } from "@std/assert";
import { answerControl, serviceStatus, STATE, wideText } from "./windows_service.ts";

const bytes = (words: ArrayBufferView) =>
  new Uint8Array(words.buffer, words.byteOffset, words.byteLength).toHex();

Deno.test("serviceStatus() is laid out as SERVICE_STATUS", () => {
  assertEquals(
    bytes(serviceStatus(STATE.running)),
    "10000000" + "04000000" + "0d000000" + "00000000" + "00000000" + "00000000" + "00000000",
  );
  assertEquals(
    bytes(serviceStatus(STATE.stopPending)),
    "10000000" + "03000000" + "00000000" + "00000000" + "00000000" + "00000000" + "30750000",
  );
  // 1066: the code that counts is the service's own.
  assertEquals(
    bytes(serviceStatus(STATE.stopped, 2)),
    "10000000" + "01000000" + "00000000" + "2a040000" + "02000000" + "00000000" + "00000000",
  );
});

Deno.test("wideText() is UTF-16, ended by NUL", () => {
  assertEquals(bytes(wideText("aé")), "6100e9000000");
  assertEquals(bytes(wideText("🎉")), "3cd889df0000");
});

Deno.test("answerControl() stops, reloads, and says what it does not know", () => {
  const told: string[] = [];
  const controls = { stop: () => told.push("stop"), reload: () => told.push("reload") } as const;
  const answers = [1, 5, 6, 4, 2].map((control) =>
    answerControl(control, { stop: () => void controls.stop(), reload: () => void controls.reload() })
  );
  assertEquals(answers, [0, 0, 0, 0, 120]);
  assertEquals(told, ["stop", "stop", "reload"]);
});
