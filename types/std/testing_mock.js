// @ts-self-types="./testing_mock.d.ts"
export { assertSpyCalls, spy, stub } from "npm:deno-std@1.3.1/testing/mock.js";
