/** The pages of a served tree. @module */
import { Hono } from "hono";
import type { RouteContext } from "../app.ts";
import { fileRoutes } from "./file_page.tsx";
import { historyRoutes } from "./history_page.tsx";
import { overviewRoutes } from "./overview.tsx";
import type { Section } from "./section.ts";
import type { ShownTree } from "./shown_tree.ts";
import { treeRoutes } from "./tree_page.tsx";

/**
 * What goes on, who pushes, what changed, and what stands there.
 *
 * @param name How people call the tree.
 */
export function treeSection(context: RouteContext, name: string, tree: ShownTree): Section {
  const { clock, activity, sessions } = context;
  const sources = { name, tree, clock };
  return {
    menu: [
      { label: "Overview", href: "/" },
      { label: "Clients", href: "/clients" },
      { label: "History", href: "/history" },
      { label: "Files", href: "/tree" },
    ],
    routes(shell) {
      const app = new Hono();
      app.route("/", overviewRoutes({ ...sources, activity, sessions }, shell));
      app.route("/", historyRoutes(sources, shell));
      app.route("/", treeRoutes(sources, shell));
      app.route("/", fileRoutes({ ...sources, apply: (batch) => context.apply(batch, undefined) }, shell));
      return app;
    },
  };
}
