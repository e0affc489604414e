/** Temporary directories that go away with the test. @module */

/** A directory that is removed when it goes out of scope: `using temp = new TempDirectory()`. */
export class TempDirectory implements Disposable {
  /** Absolute, with no symbolic link in it. */
  readonly path: string;

  constructor(prefix = "filesync-test-") {
    this.path = Deno.realPathSync(Deno.makeTempDirSync({ prefix }));
  }

  /** Makes the directory `name` in it and gives its path. */
  directory(name: string): string {
    const path = `${this.path}/${name}`;
    Deno.mkdirSync(path, { recursive: true });
    return path;
  }

  [Symbol.dispose](): void {
    Deno.removeSync(this.path, { recursive: true });
  }
}

/** Runs `test` with a temporary directory. */
export async function withTemp(test: (dir: string) => void | Promise<void>): Promise<void> {
  using temp = new TempDirectory();
  await test(temp.path);
}
