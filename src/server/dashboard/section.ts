/** What the dashboard is made of: groups of pages, and what they are given to show themselves. @module */
import type { Context, Hono, MiddlewareHandler } from "hono";
import type { Child } from "hono/jsx";
import type { Access } from "../gate.ts";

/** A page, without what all pages have. */
export interface View {
  title: string;
  /** The address of the section in the menu that it belongs to. */
  section: string;
  /** Where its parts come from again and again, when they change while it is looked at. */
  live?: string;
  /** @default {200} */
  status?: 200 | 400 | 403 | 404 | 409 | 500;
  body: Child;
}

/** What pages are given. */
export interface Shell {
  /** Lets in who may look, and refuses what other pages had a browser send. */
  guard: MiddlewareHandler;
  /** What who asks may do. Only behind {@linkcode Shell.guard}. */
  accessOf(c: Context): Access;
  /** Whether who was let in would be let in still. */
  isStillIn(c: Context): boolean;
  /** Answers with a page. */
  show(c: Context, view: View): Response;
}

/** A place in the menu. */
export interface MenuItem {
  label: string;
  href: string;
}

/** A group of pages. */
export interface Section {
  menu: readonly MenuItem[];
  routes(shell: Shell): Hono;
}

/** `path` with a query of all that is given and not empty. */
export function link(path: string, query: Record<string, string | number | undefined> = {}): string {
  const given = Object.entries(query).filter(([, value]) => value !== undefined && value !== "");
  const text = new URLSearchParams(given.map(([name, value]) => [name, String(value)])).toString();
  return text === "" ? path : `${path}?${text}`;
}
