import { assertEquals, assertLess } from "@std/assert";
import { randomBytes } from "../../tests/support/bytes.ts";
import { TempDirectory } from "../../tests/support/temp.ts";
import type { Action } from "../core/action.ts";
import { systemClock } from "../core/clock.ts";
import { parsePath } from "../core/path.ts";
import { TURN_BYTES } from "../core/turn.ts";
import { sha256 } from "../hashing/sha256.ts";
import { LocalReceiver } from "./local_receiver.ts";

Deno.test("buildContent() keeps few files open, of however many it takes chunks", async () => {
  using temp = new TempDirectory();
  // Small files are chunks of their own, and so named by the SHA-256.
  const parts = Array.from({ length: 300 }, (_, i) => randomBytes(i, 1_000));
  parts.forEach((part, i) => Deno.writeFileSync(`${temp.path}/${i}`, part));
  await using receiver = new LocalReceiver(temp.path, { clock: systemClock });
  await receiver.ready;
  const whole = new Uint8Array(await new Blob(parts).arrayBuffer());
  const manifest = parts.map((part) => ({ digest: sha256(part), length: part.length }));
  const { digest, size } = { digest: sha256(whole), size: whole.length };
  assertEquals(await receiver.check([{ digest, size, manifest }]), [[]]);
  const makeAnchor = receiver.root.anchor.bind(receiver.root);
  let most = 0;
  let open = 0;
  receiver.root.anchor = () => {
    const anchor = makeAnchor();
    const { openRead } = anchor;
    anchor.openRead = (path) => {
      const file = openRead.call(anchor, path);
      most = Math.max(most, ++open);
      const close = file[Symbol.dispose];
      file[Symbol.dispose] = () => {
        open--;
        close.call(file);
      };
      return file;
    };
    return anchor;
  };
  const put: Action = { type: "put", path: parsePath("whole"), size, mtime: 0, mode: 0o644, digest };
  const { results } = await receiver.apply({ key: "from chunks", actions: [put], contents: new Map() });
  assertEquals(results, [{ done: true }]);
  assertEquals(Deno.readFileSync(`${temp.path}/whole`), whole);
  assertEquals(open, 0);
  assertLess(most, 100);
});

Deno.test("buildContent() gives others a turn while it copies a big content to a second path", async () => {
  using temp = new TempDirectory();
  await using receiver = new LocalReceiver(temp.path, { clock: systemClock });
  await receiver.ready;
  const big = new Uint8Array(20 << 20).fill(7);
  Deno.writeFileSync(`${temp.path}/first`, big);
  await receiver.refresh();
  const digest = sha256(big);
  const puts = ["second", "third"].map((name): Action => (
    { type: "put", path: parsePath(name), size: big.length, mtime: 0, mode: 0o644, digest }
  ));
  const makeAnchor = receiver.root.anchor.bind(receiver.root);
  const most: number[] = [];
  receiver.root.anchor = () => {
    const anchor = makeAnchor();
    const { createTemp } = anchor;
    anchor.createTemp = (path) => {
      const file = createTemp.call(anchor, path);
      const { copyRange } = file;
      file.copyRange = (from, start, length) => {
        most.push(length);
        return copyRange.call(file, from, start, length);
      };
      return file;
    };
    return anchor;
  };
  const { results } = await receiver.apply({ key: "two at once", actions: puts, contents: new Map() });
  assertEquals(results, [{ done: true }, { done: true }]);
  assertEquals(Math.max(...most), TURN_BYTES);
  assertEquals(most.reduce((sum, length) => sum + length), big.length);
  assertEquals(sha256(Deno.readFileSync(`${temp.path}/third`)), digest);
});
