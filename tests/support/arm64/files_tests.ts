/** The tests of all that calls the C library, as a program: to be run where there is no `deno test`. @module */
import { runRegistered } from "./register.ts";
import "../../../src/files/libc_test.ts";
import "../../../src/files/anchor_test.ts";
import "../../../src/files/notify_socket_test.ts";
import "../../../src/files/stat_test.ts";
import "../../../src/server/connections_test.ts";

// Those by paths do not call it, and those that do something very often are slow where a processor is played.
Deno.exit(await runRegistered(/, by paths|a big directory|another thread|longer than|^listen\(\)/));
