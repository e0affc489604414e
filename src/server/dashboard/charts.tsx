/**
 * Charts as SVG: of amounts over time, of what came and went, of shares, and of what takes the space. They bring no style;
 * the page says how `up`, `down`, `axis` and the other classes look.
 *
 * @module
 */
import type { Child } from "hono/jsx";
import { count, formatBytes, signedBytes } from "../../core/amounts.ts";
import { visible } from "../../core/visible.ts";
import { type Tile, treemap } from "./treemap.ts";

/** A step of a {@linkcode GrowthChart}. */
export interface GrowthStep {
  /** Its name; a date without the year is shown below it. */
  start: string;
  came: number;
  went: number;
  growth: number;
  /** Where its details are. */
  href?: string;
}

/** How wide the widest column is. */
const WIDEST = 40;

/**
 * Columns of bytes that came, above the line, and went, below it.
 *
 * @param props.width In units of text of 11: of a chart that is shown narrower, letters are smaller. @default {960}
 */
export function GrowthChart(
  { steps, title, width = 960 }: { steps: readonly GrowthStep[]; title: string; width?: number },
) {
  const [height, left, foot] = [240, 10, 20];
  const up = Math.max(1, ...steps.map(({ came }) => came));
  const down = Math.max(0, ...steps.map(({ went }) => went));
  const scale = (height - foot - 10) / (up + down);
  const zero = 10 + up * scale;
  const step = (width - 2 * left) / steps.length;
  const column = Math.min(WIDEST, step * 0.8);
  const named = Math.ceil(steps.length / (width / 90));
  return (
    <Chart {...{ width, height, title }}>
      {steps.map(({ start, came, went, growth, href }, i) => {
        const x = left + i * step + step * 0.1;
        const isNamed = i % named === 0;
        return (
          <Part to={href} label={`${start}: ${signedBytes(growth)}`}>
            <Box className="up" x={x} y={zero - came * scale} width={column} height={came * scale} />
            <Box className="down" x={x} y={zero} width={column} height={went * scale} />
            {isNamed ? <text x={px(x)} y={height - 6}>{start.slice(5)}</text> : ""}
          </Part>
        );
      })}
      <line class="axis" x1={left} x2={width - left} y1={px(zero)} y2={px(zero)} />
    </Chart>
  );
}

/** A bar to the right for what grew, to the left for what shrank. */
export function SharesChart(
  { shares, title }: { shares: readonly { name: string; growth: number }[]; title: string },
) {
  const grown = shares.filter(({ growth }) => growth !== 0);
  if (grown.length === 0) return null;
  const [width, row, middle] = [960, 22, 560];
  const most = Math.max(...grown.map(({ growth }) => Math.abs(growth)));
  return (
    <Chart {...{ width, height: grown.length * row, title }}>
      {grown.map(({ name, growth }, i) => {
        const length = Math.abs(growth) / most * 280;
        const y = i * row + 3;
        const x = growth > 0 ? middle : middle - length;
        return (
          <Part label={visible(`${name}: ${signedBytes(growth)}`)}>
            <text x="0" y={y + 12}>{visible(endOf(name || "(none)", 44))}</text>
            <Box className={growth > 0 ? "up" : "down"} x={x} y={y} width={length} height={row - 6} />
            <text x={middle + 290} y={y + 12}>{signedBytes(growth)}</text>
          </Part>
        );
      })}
    </Chart>
  );
}

/** An amount over equal steps of time, as an area. */
export interface AreaSeries {
  className: string;
  values: readonly number[];
}

/** Amounts over time, one area above the other's background; stretched to whatever width there is. */
export function AreaChart(
  { series, most, title }: { series: readonly AreaSeries[]; most: number; title: string },
) {
  const [width, height] = [600, 100];
  const line = (values: readonly number[]) =>
    values.flatMap((value, i) => {
      // What lies within a level line need not be told.
      if (value === values[i - 1] && value === values[i + 1]) return [];
      const x = i / Math.max(1, values.length - 1) * width;
      return `${px(x)} ${px(height - 1 - value / Math.max(1, most) * (height - 4))}`;
    }).join("L");
  return (
    <svg
      class="area"
      viewBox={`0 0 ${width} ${height}`}
      preserveAspectRatio="none"
      role="img"
      aria-label={title}
    >
      {[25, 50, 75].map((y) => <line class="grid" x1="0" x2={width} y1={y} y2={y} />)}
      {series.map(({ className, values }) => (
        <>
          <path class={`${className} fill`} d={`M0 ${height}L${line(values)}L${width} ${height}Z`} />
          <path class={`${className} stroke`} d={`M${line(values)}`} />
        </>
      ))}
    </svg>
  );
}

/** A value over time as a line, from its least to its most. `width` is as for {@linkcode GrowthChart}. */
export function LineChart(
  { points, title, width = 960 }: {
    points: readonly { name: string; value: number }[];
    title: string;
    width?: number;
  },
) {
  const [height, left, foot, top] = [180, 72, 20, 12];
  const values = points.map(({ value }) => value);
  const [least, most] = [Math.min(...values), Math.max(...values)];
  const xOf = (i: number) => left + i / Math.max(1, points.length - 1) * (width - left - 20);
  const yOf = (value: number) =>
    top + (1 - (value - least) / Math.max(1, most - least)) * (height - foot - top - 8);
  const line = points.map(({ value }, i) => `${px(xOf(i))} ${px(yOf(value))}`).join("L");
  const named = Math.ceil(points.length / (width / 90));
  return (
    <Chart {...{ width, height, title }}>
      {[...new Set([least, (least + most) / 2, most])].map((value) => (
        <>
          <line class="axis" x1={left} x2={width} y1={px(yOf(value))} y2={px(yOf(value))} />
          <text class="end" x={left - 8} y={px(yOf(value) + 4)}>{formatBytes(Math.round(value))}</text>
        </>
      ))}
      <path class="line" d={`M${line}`} />
      {points.map(({ name, value }, i) => (
        <Part label={`${name}: ${formatBytes(value)}`}>
          <circle class="dot" cx={px(xOf(i))} cy={px(yOf(value))} r="2.5" />
          {i % named === 0 ? <text x={px(xOf(i) - 14)} y={height - 4}>{name.slice(5)}</text> : ""}
        </Part>
      ))}
    </Chart>
  );
}

/** What takes the space. */
export interface TreemapItem {
  name: string;
  value: number;
  /** Where its details are. */
  href?: string;
}

/** Rectangles as big as what they stand for. `width` is as for {@linkcode GrowthChart}. */
export function TreemapChart(
  { items, title, width = 960 }: { items: readonly TreemapItem[]; title: string; width?: number },
) {
  const height = Math.round(width / 2);
  const whole = items.reduce((sum, { value }) => sum + value, 0);
  const shown = withOthers(items, whole * SMALLEST_SHARE);
  const tiles = treemap(shown.map(({ value }) => value), { width, height });
  return (
    <Chart {...{ width, height, title }} className="treemap">
      {shown.map(({ name, value, href }, i) => {
        const label = visible(`${name} ${formatBytes(value)}, ${(value / whole * 100).toFixed(1)} %`);
        return (
          <Part to={href} label={label}>
            <Box className={`tile tone-${i % 6}`} {...inset(tiles[i])} />
            <TileText tile={tiles[i]} name={name} value={value} />
          </Part>
        );
      })}
    </Chart>
  );
}

/** The part of the whole below which nothing would be seen of a tile. */
const SMALLEST_SHARE = 0.002;

/** Items that are as big as `least`, the biggest first, and all others as one. */
function withOthers(items: readonly TreemapItem[], least: number): TreemapItem[] {
  const big = items.filter(({ value }) => value > 0 && value >= least).toSorted((a, b) => b.value - a.value);
  const small = items.filter(({ value }) => value > 0 && value < least);
  const rest = small.reduce((sum, { value }) => sum + value, 0);
  if (rest === 0 || rest < least) return big;
  return [...big, { name: count(small.length, "smaller one"), value: rest }].sort((a, b) =>
    b.value - a.value
  );
}

function TileText(
  { tile: { x, y, width, height }, name, value }: { tile: Tile; name: string; value: number },
) {
  const letters = Math.floor((width - 14) / 6.6);
  if (letters < 4 || height < 20) return null;
  return (
    <>
      <text class="tile-name" x={px(x + 8)} y={px(y + 17)}>{visible(beginOf(name, letters))}</text>
      {height < 38 ? "" : <text class="tile-size" x={px(x + 8)} y={px(y + 32)}>{formatBytes(value)}</text>}
    </>
  );
}

function inset({ x, y, width, height }: Tile): Tile {
  return { x: x + 1, y: y + 1, width: Math.max(0, width - 2), height: Math.max(0, height - 2) };
}

function Chart(
  { width, height, title, className, children }: {
    width: number;
    height: number;
    title: string;
    className?: string;
    children?: Child;
  },
) {
  // What holds links is no picture: its parts have to be told.
  return (
    <svg class={className ?? "chart"} viewBox={`0 0 ${width} ${height}`} role="group" aria-label={title}>
      {children}
    </svg>
  );
}

/** A part of a chart, by its name, which may lead to more. What is written in it says nothing else. */
function Part({ to, label, children }: { to?: string; label: string; children?: Child }) {
  const named = (
    <>
      <title>{label}</title>
      <g aria-hidden="true">{children}</g>
    </>
  );
  return to === undefined ? <g role="img">{named}</g> : <a href={to}>{named}</a>;
}

function Box(
  { className, x, y, width, height }: {
    className: string;
    x: number;
    y: number;
    width: number;
    height: number;
  },
) {
  if (width <= 0 || height <= 0) return null;
  return <rect class={className} x={px(x)} y={px(y)} width={px(width)} height={px(height)} />;
}

function px(number: number): string {
  return String(Math.round(number * 10) / 10);
}

function endOf(text: string, most: number): string {
  const characters = [...text];
  return characters.length > most ? `…${characters.slice(1 - most).join("")}` : text;
}

function beginOf(text: string, most: number): string {
  const characters = [...text];
  return characters.length > most ? `${characters.slice(0, most - 1).join("")}…` : text;
}
