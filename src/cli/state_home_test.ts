import { assertEquals, assertMatch, assertNotEquals, assertThrows } from "@std/assert";
import { fakeContext } from "../../tests/support/command_line.ts";
import { TempDirectory } from "../../tests/support/temp.ts";
import { FilesyncError } from "../core/errors.ts";
import { SourceState } from "../sync/source_state.ts";
import { openStates, stateDirectoryFor, stateHome } from "./state_home.ts";

function context(environment: Record<string, string>) {
  return fakeContext({ environment: (name) => environment[name] });
}

Deno.test("stateHome() follows the customs of the system", () => {
  assertEquals(stateHome(context({ XDG_STATE_HOME: "/x", HOME: "/h" })), "/x/filesync");
  assertEquals(stateHome(context({ XDG_STATE_HOME: "", HOME: "/h" })), "/h/.local/state/filesync");
  assertEquals(stateHome(context({ LOCALAPPDATA: "/l" })), "/l/filesync");
  assertEquals(stateHome(context({ XDG_STATE_HOME: "relative", HOME: "/h" })), "/h/.local/state/filesync");
  for (
    const [flag, hint] of [[undefined, "Set HOME"], ["--x", "Set HOME, or name a place with --x"]] as const
  ) {
    const error = assertThrows(() => stateHome(context({}), flag), FilesyncError);
    assertEquals([error.reason, error.hint], ["neither XDG_STATE_HOME nor HOME is set", hint]);
  }
});

Deno.test("stateDirectoryFor() is another for every pair, and tells which it is", () => {
  const x = context({ XDG_STATE_HOME: "/x" });
  const one = stateDirectoryFor(x, "/home/me/photos", "http://backup:7433");
  assertMatch(one, /^\/x\/filesync\/photos-[0-9a-f]{16}$/);
  assertNotEquals(one, stateDirectoryFor(x, "/home/you/photos", "http://backup:7433"));
  assertNotEquals(one, stateDirectoryFor(x, "/home/me/photos", "http://other:7433"));
  assertMatch(stateDirectoryFor(x, "/", "y"), /^\/x\/filesync\/root-[0-9a-f]{16}$/);
});

Deno.test("openStates() opens every state there is, and tells which runs", () => {
  using temp = new TempDirectory();
  const x = context({ XDG_STATE_HOME: temp.path });
  assertEquals(openStates(x, undefined), []);
  const home = temp.directory("filesync");
  Deno.mkdirSync(`${home}/not-a-state`);
  Deno.writeTextFileSync(`${home}/a-file`, "");
  for (const name of ["b", "a"]) {
    using state = new SourceState(`${home}/${name}`, { clock: x.clock });
    state.index.setMeta("source", `/source/${name}`);
    state.index.setMeta("destination", `/destination/${name}`);
  }
  using _running = new SourceState(`${home}/b`, { clock: x.clock });
  const states = openStates(x, undefined);
  assertEquals(states.map(({ source, destination, running }) => [source, destination, running]), [
    ["/source/a", "/destination/a", false],
    ["/source/b", "/destination/b", true],
  ]);
  for (const state of states) state[Symbol.dispose]();
});

Deno.test("openStates() opens the one that is named, or says that there is none", () => {
  using temp = new TempDirectory();
  const x = context({});
  const error = assertThrows(() => openStates(x, `${temp.path}/none`), FilesyncError);
  assertEquals(error.code, "not-found");
  new SourceState(`${temp.path}/one`, { clock: x.clock })[Symbol.dispose]();
  const [one, ...more] = openStates(x, `${temp.path}/one`);
  assertEquals([one.source, one.running, more], ["", false, []]);
  Deno.writeTextFileSync(`${temp.path}/file`, "");
  const none = assertThrows(() => openStates(x, `${temp.path}/file`), FilesyncError);
  assertEquals(
    none.message.startsWith(`Cannot list the states in "${temp.path}/file": `),
    true,
    none.message,
  );
  one[Symbol.dispose]();
});
