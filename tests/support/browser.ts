/** A browser without a window: keeps cookies, follows no redirect, and says where its requests come from. @module */
import type { ServedTree } from "./subjects.ts";

/** Asks a served tree as a browser does. */
export class Browser {
  readonly #served: Pick<ServedTree, "app">;
  readonly #origin: string;
  readonly #remoteAddress: string;
  readonly cookies = new Map<string, string>();

  constructor(
    served: Pick<ServedTree, "app">,
    { origin = "http://server.test:7433", remoteAddress = "192.0.2.1" } = {},
  ) {
    this.#served = served;
    this.#origin = origin;
    this.#remoteAddress = remoteAddress;
  }

  /** Goes to a page, by a link of our own. */
  get(path: string, headers: Record<string, string> = {}): Promise<Response> {
    return this.#ask(path, { headers: { "sec-fetch-site": "same-origin", ...headers } });
  }

  /** The text of a page. */
  async text(path: string): Promise<string> {
    return await (await this.get(path)).text();
  }

  /** Sends a form of a page of our own. */
  post(path: string, form: Record<string, string>, headers: Record<string, string> = {}): Promise<Response> {
    return this.send(path, new URLSearchParams(form), headers);
  }

  /** Sends a body of any kind from a page of our own. */
  send(path: string, body: BodyInit, headers: Record<string, string> = {}): Promise<Response> {
    return this.#ask(path, {
      method: "POST",
      body,
      headers: { "sec-fetch-site": "same-origin", origin: this.#origin, ...headers },
    });
  }

  /** Logs in. */
  logIn(token: string): Promise<Response> {
    return this.post("/login", { token, to: "/" });
  }

  async #ask(path: string, init: RequestInit): Promise<Response> {
    const { host } = new URL(this.#origin);
    const headers = new Headers({ host, ...init.headers });
    for (const [name, value] of Object.entries(init.headers ?? {})) if (value === "") headers.delete(name);
    if (this.cookies.size > 0) {
      headers.set("cookie", [...this.cookies].map(([name, value]) => `${name}=${value}`).join("; "));
    }
    const request = new Request(`${this.#origin}${path}`, { ...init, headers });
    const response = await this.#served.app.fetch(request, { remoteAddress: this.#remoteAddress });
    for (const cookie of response.headers.getSetCookie()) {
      const [, name, value] = /^([^=]+)=([^;]*)/.exec(cookie)!;
      if (/max-age=0/i.test(cookie)) this.cookies.delete(name);
      else this.cookies.set(name, value);
    }
    return response;
  }
}
