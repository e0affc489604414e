/** Paths as they stand in lines of text. @module */
import { isVisible, visible } from "../core/visible.ts";

export { visible, visibleJson } from "../core/visible.ts";

/** A path as it stands in a line of text: as it is, or in quotes where that could mislead. */
export function quotePath(path: string): string {
  const plain = path !== "" && isVisible(path) && !/^["\s]|\s$|\s{2}| → /.test(path);
  return plain ? path : visible(JSON.stringify(path));
}
