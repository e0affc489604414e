/**
 * Cuts a rectangle into smaller ones, as big as given values and as square as can be.
 *
 * Source: M. Bruls, K. Huizing, J. van Wijk, "Squarified Treemaps", 2000.
 *
 * @module
 */

/** A rectangle. */
export interface Tile {
  x: number;
  y: number;
  width: number;
  height: number;
}

/** A rectangle for each of `values`, which fall and are greater than 0, in their order. */
export function treemap(
  values: readonly number[],
  { width, height }: Pick<Tile, "width" | "height">,
): Tile[] {
  const whole = values.reduce((sum, value) => sum + value, 0);
  const areas = values.map((value) => value / whole * width * height);
  const tiles: Tile[] = [];
  let room: Tile = { x: 0, y: 0, width, height };
  for (let first = 0; first < areas.length;) {
    const side = Math.min(room.width, room.height);
    let end = first + 1;
    while (
      end < areas.length && worst(areas.slice(first, end + 1), side) <= worst(areas.slice(first, end), side)
    ) end++;
    room = layRow(areas.slice(first, end), room, tiles);
    first = end;
  }
  return tiles;
}

/** How far from square the worst of a row's rectangles is. */
function worst(row: readonly number[], side: number): number {
  const sum = row.reduce((sum, area) => sum + area, 0);
  return Math.max(side ** 2 * row[0] / sum ** 2, sum ** 2 / (side ** 2 * row.at(-1)!));
}

/** Lays a row along the shorter side of `room`, and never beyond it, however numbers are rounded; gives what is left of that. */
function layRow(row: readonly number[], room: Tile, tiles: Tile[]): Tile {
  const sum = row.reduce((sum, area) => sum + area, 0);
  const { x, y, width, height } = room;
  if (width >= height) {
    const across = height === 0 ? 0 : Math.min(width, sum / height);
    let at = y;
    for (const area of row) {
      const length = across === 0 ? 0 : area / across;
      tiles.push({ x, y: at, width: across, height: length });
      at += length;
    }
    return { x: x + across, y, width: Math.max(0, width - across), height };
  }
  const across = width === 0 ? 0 : Math.min(height, sum / width);
  let at = x;
  for (const area of row) {
    const length = across === 0 ? 0 : area / across;
    tiles.push({ x: at, y, width: length, height: across });
    at += length;
  }
  return { x, y: y + across, width, height: Math.max(0, height - across) };
}
