/**
 * Writes docs/JSON.md, which describes the output of `--json`, from the schemas of `src/cli/json_schemas.ts`:
 * `deno run -A tools/json_docs.ts`. A test compares the two.
 *
 * @module
 */
import * as v from "valibot";
import { JSON_LINES, type JsonLineKind } from "../src/cli/json_schemas.ts";

const INTRODUCTION = `# Output for programs

With \`--json\` every command prints one JSON object a line, each with a \`time\` (ISO 8601, UTC) and a \`type\`.
Fields with a question mark may be missing. New types and fields may come with any release: leave out what you
do not know. \`report --json\` prints one object without either, its report; \`man\` and
\`completions\` print what they print without it.

This page is made from the schemas that tests compare the output with (\`tools/json_docs.ts\`).
`;

/** Schemas by their names, as they are met. */
type Shapes = Map<string, v.GenericSchema>;

/** The text of docs/JSON.md. */
export async function jsonDocument(): Promise<string> {
  const shapes: Shapes = new Map();
  const kinds = JSON_LINES.map((kind) => kindText(kind, shapes));
  const described = [...shapes].map(([name, schema]) => shapeText(name, schema, shapes));
  return await formatted([INTRODUCTION, "## Lines", ...kinds, "## Shapes", ...described].join("\n\n"));
}

function kindText({ type, from, about, fields }: JsonLineKind, shapes: Shapes): string {
  const commands = from.map((name) => /^\w+$/.test(name) ? `\`${name}\`` : name).join(", ");
  return `### ${type}\n\n${about}. From ${commands}.\n\n${table(fields, shapes)}`;
}

function shapeText(name: string, schema: v.GenericSchema, shapes: Shapes): string {
  const options = optionsOf(schema) ?? [schema];
  const tables = options.map((option) =>
    table((option as v.ObjectSchema<v.ObjectEntries, undefined>).entries, shapes)
  );
  return `### ${name} object\n\n${capital(v.getDescription(schema)!)}.\n\n${tables.join("\n\nor\n\n")}`;
}

function table(fields: Record<string, v.GenericSchema>, shapes: Shapes): string {
  const rows = Object.entries(fields).map(([name, field]) => {
    const mark = field.type === "optional" ? "?" : "";
    return `| \`${name}\`${mark} | ${typeText(field, shapes)} | ${meaning(field)} |`;
  });
  return ["| field | type | meaning |", "| --- | --- | --- |", ...rows].join("\n");
}

/** What is within a schema that may be missing, or null. */
function inner(schema: v.GenericSchema): v.GenericSchema {
  return "wrapped" in schema ? inner(schema.wrapped as v.GenericSchema) : schema;
}

function optionsOf(schema: v.GenericSchema): v.GenericSchema[] | undefined {
  return schema.type === "union"
    ? (schema as v.UnionSchema<v.GenericSchema[], undefined>).options
    : undefined;
}

function meaning(field: v.GenericSchema): string {
  // What has a name is told where it is described.
  const all = [field, inner(field)].filter((schema) => v.getTitle(schema) === undefined);
  return all.map((schema) => v.getDescription(schema)).find((text) => text !== undefined) ?? "";
}

function typeText(field: v.GenericSchema, shapes: Shapes): string {
  const schema = inner(field) as v.GenericSchema & Record<string, unknown>;
  const name = v.getTitle(schema);
  if (name !== undefined) {
    shapes.set(name, schema);
    return `[${name}](#${name.toLowerCase()}-object)`;
  }
  switch (schema.type) {
    case "strict_object":
      return `object: ${
        Object.entries(schema.entries as Record<string, v.GenericSchema>)
          .map(([key, value]) => `\`${key}\`${value.type === "optional" ? "?" : ""}`).join(", ")
      }`;
    case "loose_object":
      return "object";
    case "array":
      return `list of ${typeText(schema.item as v.GenericSchema, shapes)}`;
    case "picklist":
      return (schema.options as string[]).map((option) => `\`"${option}"\``).join(", ");
    case "literal":
      return `\`"${schema.literal}"\``;
    case "string": {
      const pipe = (schema.pipe ?? []) as { type: string }[];
      return pipe.some(({ type }) => type === "iso_timestamp") ? "time" : "string";
    }
    default:
      return schema.type;
  }
}

function capital(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}

/** Laid out as `deno fmt` wants it. */
async function formatted(markdown: string): Promise<string> {
  await using child = new Deno.Command(Deno.execPath(), {
    args: ["fmt", "--ext", "md", "--line-width", "110", "-"],
    stdin: "piped",
    stdout: "piped",
  }).spawn();
  const writer = child.stdin.getWriter();
  await writer.write(new TextEncoder().encode(`${markdown}\n`));
  await writer.close();
  return await new Response(child.stdout).text();
}

if (import.meta.main) {
  Deno.writeTextFileSync(new URL("../docs/JSON.md", import.meta.url), await jsonDocument());
}
