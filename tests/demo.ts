/**
 * `deno task demo`: serves a directory, watches another, makes changes as people do, and shows what
 * arrives, how fast, and how little is sent for it. Fails when anything does not arrive.
 *
 * @module
 */
import { bold, cyan, dim, green, red } from "@std/fmt/colors";
import { insertAt, randomBytes, smallInserts } from "./support/bytes.ts";
import { Pair } from "./support/pair.ts";
import { link, makeTree } from "./support/trees.ts";
import { formatBytes } from "../src/cli/sizes.ts";

const MiB = 1 << 20;
const PHOTO_BYTES = 24 * MiB;
const COPIES = 20;
const SMALL_FILES = 2_000;

/** One thing somebody does to the directory. */
interface Scene {
  title: string;
  /** Makes the changes. Returns the bytes of content that a plain copy would have to send. */
  act(source: string): number;
}

const SCENES: Scene[] = [
  {
    title: `${SMALL_FILES.toLocaleString("en")} small files and a few links`,
    act(source) {
      const text = (i: number) => `// module ${i}\nexport const answer = ${i * 42};\n`.repeat(1 + i % 20);
      const files = Array.from({ length: SMALL_FILES }, (_, i) => [`src/d${i % 40}/m${i}.ts`, text(i)]);
      makeTree(source, { ...Object.fromEntries(files), latest: link("src/d39"), readme: "Hello\n" });
      return files.reduce((sum, [, content]) => sum + content.length, 0);
    },
  },
  {
    title: `A big file of ${formatBytes(PHOTO_BYTES)}`,
    act(source) {
      Deno.writeFileSync(`${source}/disk.img`, randomBytes(1, PHOTO_BYTES));
      return PHOTO_BYTES;
    },
  },
  {
    title: "Three words put into the middle of it",
    act(source) {
      const before = Deno.readFileSync(`${source}/disk.img`);
      const after = insertAt(before, smallInserts(2, before.length, 3));
      Deno.writeFileSync(`${source}/disk.img`, after);
      return after.length;
    },
  },
  {
    title: `${COPIES} copies of it`,
    act(source) {
      Deno.mkdirSync(`${source}/copies`);
      for (let i = 1; i <= COPIES; i++) Deno.copyFileSync(`${source}/disk.img`, `${source}/copies/${i}.img`);
      return COPIES * Deno.statSync(`${source}/disk.img`).size;
    },
  },
  {
    title: `The directory of the ${SMALL_FILES.toLocaleString("en")} files renamed`,
    act(source) {
      Deno.renameSync(`${source}/src`, `${source}/library`);
      return [...Deno.readDirSync(`${source}/library`)].reduce(
        (sum, { name }) =>
          sum + [...Deno.readDirSync(`${source}/library/${name}`)]
            .reduce((bytes, file) => bytes + Deno.statSync(`${source}/library/${name}/${file.name}`).size, 0),
        0,
      );
    },
  },
  {
    title: "The copies removed, a mode and a time changed",
    act(source) {
      Deno.removeSync(`${source}/copies`, { recursive: true });
      Deno.chmodSync(`${source}/readme`, 0o600);
      Deno.utimeSync(`${source}/disk.img`, 1_600_000_000, 1_600_000_000);
      return 0;
    },
  },
];

/** Plays all scenes. Throws when the two directories are not equal in the end. */
async function play(): Promise<void> {
  await using pair = await Pair.start();
  await pair.watchInStep();
  print(bold("filesync: one directory is watched, its copy is served on the other side of HTTP"));
  print(dim(`  filesync serve ${pair.destination}`));
  print(dim(`  filesync watch ${pair.source} --to ${pair.proxy.url}\n`));
  const total = { content: 0, wire: 0 };
  for (const { title, act } of SCENES) {
    await pair.quiet();
    pair.proxy.resetCounts();
    print(cyan(`▸ ${title}`));
    const content = act(pair.source);
    const start = performance.now();
    await pair.inStep({}, 30_000);
    const seconds = (performance.now() - start) / 1000;
    const saved = content > pair.bytes ? `, ${(100 - 100 * pair.bytes / content).toFixed(1)} % saved` : "";
    const size = content === 0 ? "" : `${formatBytes(content)} of content, `;
    print(
      `  ${green("✓")} there in ${seconds.toFixed(2)} s, equal byte by byte: ` +
        `${size}${bold(formatBytes(pair.bytes))} on the wire${saved}`,
    );
    total.content += content;
    total.wire += pair.bytes;
  }
  await pair.assertInStep();
  print(
    bold(`\n${formatBytes(total.content)} of changes, ${formatBytes(total.wire)} sent`) +
      `: ${(total.content / total.wire).toFixed(0)} times less`,
  );
}

function print(line: string): void {
  Deno.stdout.writeSync(new TextEncoder().encode(`${line}\n`));
}

try {
  await play();
} catch (error) {
  print(red(`\nSomething did not arrive\n${error instanceof Error ? error.message : error}`));
  Deno.exitCode = 1;
}
