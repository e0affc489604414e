/** Which files this process has open. @module */

/** How many files at and below `directory` this process has open; nothing that can be told but on Linux. */
export function openFilesIn(directory: string): number {
  if (Deno.build.os !== "linux") return 0;
  const targets = [...Deno.readDirSync("/proc/self/fd")].map(({ name }) => {
    try {
      return Deno.readLinkSync(`/proc/self/fd/${name}`);
    } catch {
      // Closed since it was listed.
      return "";
    }
  });
  return targets.filter((target) => target.startsWith(directory)).length;
}
