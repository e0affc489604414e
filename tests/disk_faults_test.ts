import { DISK_FAULTS } from "./torture/disk_faults.ts";
import { DiskScene } from "./torture/disk_scene.ts";
import { SmallDisk } from "./support/small_disk.ts";

/** The quick ones; `deno task torture <seconds> disk` has them all, on disks that fail and turn read-only too. */
const QUICK = [
  "no room for the queue",
  "no room for the log",
  "no room for versions",
  "a push that may open hardly any file",
];

for (const name of QUICK) {
  Deno.test({
    name: `${name}: nothing is lost or torn, and all arrives when it is mended`,
    ignore: Deno.build.os !== "linux" || !canMount(),
    async fn() {
      await using scene = (await DiskScene.start({ seed: 11 }))!;
      await DISK_FAULTS[name](scene);
      await scene.stop();
    },
  });
}

function canMount(): boolean {
  using disk = SmallDisk.mount(1 << 20);
  return disk !== undefined;
}
