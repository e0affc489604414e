/** JSON Schema, as far as docs/openapi.json uses it. @module */

/** A schema, or any other part of the document. */
// deno-lint-ignore no-explicit-any -- what is in it is found by looking
export type Json = any;

/** What a `$ref` in `document` stands for; anything else stands for itself. */
export function resolveRef(document: Json, value: Json): Json {
  const reference: string | undefined = value?.$ref;
  if (reference === undefined) return value;
  const target = reference.replace(/^#\//, "").split("/").reduce((part, name) => part?.[name], document);
  if (target === undefined) throw new Error(`${reference} stands for nothing`);
  return resolveRef(document, target);
}

/** Why `value` does not fit `schema`; `undefined` when it does. Fields that the schema does not have are faults. */
export function schemaFault(document: Json, schema: Json, value: Json, at = "it"): string | undefined {
  const { oneOf, enum: choices, type, ...rest } = resolveRef(document, schema);
  if (oneOf !== undefined) {
    const faults = oneOf.map((each: Json) => schemaFault(document, each, value, at));
    return faults.filter((fault: unknown) => fault === undefined).length === 1
      ? undefined
      : `${at} fits not one: ${faults.join("; ")}`;
  }
  if ("const" in rest) return value === rest.const ? undefined : `${at} is not ${rest.const}`;
  if (choices !== undefined) return choices.includes(value) ? undefined : `${at} is none of ${choices}`;
  switch (type) {
    case "object": {
      if (value === null || typeof value !== "object" || Array.isArray(value)) return `${at} is no object`;
      const { properties, required = [] } = rest;
      const missing = required.find((name: string) => !(name in value));
      if (missing !== undefined) return `${at} has no ${missing}`;
      for (const [name, part] of Object.entries(value)) {
        if (!(name in properties)) return `${at} has ${name}, which is not told`;
        const fault = schemaFault(document, properties[name], part, `${at}.${name}`);
        if (fault !== undefined) return fault;
      }
      return undefined;
    }
    case "array": {
      if (!Array.isArray(value)) return `${at} is no array`;
      return value.map((part, i) =>
        schemaFault(document, rest.items ?? rest.prefixItems[i], part, `${at}[${i}]`)
      )
        .find((fault) => fault !== undefined);
    }
    case "string":
      return typeof value === "string" && new RegExp(rest.pattern ?? "").test(value)
        ? undefined
        : `${at} is no such text`;
    case "integer":
      return Number.isSafeInteger(value) && value >= (rest.minimum ?? -Infinity)
        ? undefined
        : `${at} is no such number`;
    case "number":
      return typeof value === "number" ? undefined : `${at} is no number`;
    case "boolean":
      return typeof value === "boolean" ? undefined : `${at} is neither true nor false`;
    case "null":
      return value === null ? undefined : `${at} is not null`;
    default:
      throw new Error(`${at}: this schema is not understood: ${JSON.stringify(schema)}`);
  }
}
