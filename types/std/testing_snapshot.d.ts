export interface SnapshotOptions {
  dir?: string;
  path?: string;
  name?: string;
  mode?: "assert" | "update";
  serializer?: (value: unknown) => string;
}
export function assertSnapshot(
  context: Deno.TestContext,
  actual: unknown,
  options?: SnapshotOptions | string,
): Promise<void>;
