/**
 * The tables of a catalog, the same in both databases.
 *
 * `directories` and `entries` hold what stands where; the views `files` and `file_changes` show it with whole paths.
 * A row of `file_changes` that says "added" is kept only when something else happens to the file (`entries.
 * changed_scan` is NULL until then): before, it is the row of the file. So a first scan writes each file once.
 *
 * @module
 */
import { KIND } from "./listing.ts";
import { type Dialect, isBelow } from "./sql.ts";

/** Scripts, oldest first; one that was released is never edited again. */
export function catalogMigrations(dialect: Dialect): readonly string[] {
  return [version1(dialect)];
}

function version1(dialect: Dialect): string {
  const { types: { id, integer, text, bytes, json, time }, name, extension, pathKey } = dialect;
  const mtime = (column: string) =>
    name === "postgres" ? `to_timestamp(${column}::float8 / 1000000)` : column;
  const kind = (column: string) =>
    `CASE ${column} WHEN ${KIND.file} THEN 'file' WHEN ${KIND.symlink} THEN 'symlink' ELSE 'other' END`;
  const ltree = name === "postgres" ? ", path_to_ltree(d.path || '/' || e.name) AS path_ltree" : "";
  return `
CREATE TABLE hosts (id ${id}, name ${text} NOT NULL UNIQUE);

CREATE TABLE scan_runs (
  id ${id},
  host ${text} NOT NULL,
  root ${text} NOT NULL,
  shard ${text} NOT NULL,
  kind ${text} NOT NULL,
  state ${text} NOT NULL,
  started_at ${time} NOT NULL,
  finished_at ${time},
  files ${integer} NOT NULL DEFAULT 0,
  directories ${integer} NOT NULL DEFAULT 0,
  bytes ${integer} NOT NULL DEFAULT 0,
  added ${integer} NOT NULL DEFAULT 0,
  modified ${integer} NOT NULL DEFAULT 0,
  removed ${integer} NOT NULL DEFAULT 0,
  moved ${integer} NOT NULL DEFAULT 0,
  bytes_added ${integer} NOT NULL DEFAULT 0,
  bytes_modified ${integer} NOT NULL DEFAULT 0,
  bytes_removed ${integer} NOT NULL DEFAULT 0,
  growth ${integer} NOT NULL DEFAULT 0,
  problems ${integer} NOT NULL DEFAULT 0,
  moves_paired ${integer} NOT NULL DEFAULT 0,
  settings ${json} NOT NULL,
  metadata ${json} NOT NULL
);
CREATE INDEX scan_runs_started ON scan_runs (started_at);

CREATE TABLE scan_problems (
  scan_id ${integer} NOT NULL,
  path ${text} NOT NULL,
  code ${text} NOT NULL,
  message ${text} NOT NULL
);
CREATE INDEX scan_problems_scan ON scan_problems (scan_id);

CREATE TABLE roots (
  host_id ${integer} NOT NULL,
  path ${text} NOT NULL,
  last_scan ${integer} NOT NULL,
  PRIMARY KEY (host_id, path)
);

CREATE TABLE directories (
  id ${integer} PRIMARY KEY,
  host_id ${integer} NOT NULL,
  path ${text} NOT NULL,
  print ${text},
  files ${integer} NOT NULL,
  bytes ${integer} NOT NULL,
  changed_scan ${integer} NOT NULL,
  last_seen ${integer}
);
CREATE INDEX directories_path ON directories (host_id, ${pathKey("path")});

CREATE TABLE directory_ids (next ${integer} NOT NULL);
INSERT INTO directory_ids VALUES (1);

CREATE TABLE reservations (
  scan_id ${integer} NOT NULL,
  first_id ${integer} NOT NULL,
  last_id ${integer} NOT NULL
);

CREATE TABLE entries (
  directory_id ${integer} NOT NULL,
  name ${text} NOT NULL,
  kind ${name === "postgres" ? "smallint" : integer} NOT NULL,
  size ${integer} NOT NULL,
  mtime ${integer} NOT NULL,
  inode ${integer} NOT NULL,
  fingerprint ${bytes},
  first_scan ${integer} NOT NULL,
  changed_scan ${integer},
  PRIMARY KEY (directory_id, name)
)${name === "sqlite" ? " WITHOUT ROWID" : ""};

CREATE TABLE changes (
  scan_id ${integer} NOT NULL,
  path ${text} NOT NULL,
  old_path ${text},
  kind ${text} NOT NULL,
  old_size ${integer},
  new_size ${integer},
  old_mtime ${integer},
  new_mtime ${integer},
  old_fingerprint ${bytes},
  new_fingerprint ${bytes}
);
CREATE INDEX changes_scan ON changes (scan_id);
CREATE INDEX changes_path ON changes (${pathKey("path")});
${name === "postgres" ? POSTGRES_ONLY : ""}
CREATE VIEW files AS SELECT
  h.name AS host,
  d.path || '/' || e.name AS path,
  e.name AS name,
  ${extension("e.name")} AS extension,
  ${kind("e.kind")} AS kind,
  e.size AS size,
  ${mtime("e.mtime")} AS mtime,
  e.fingerprint AS fingerprint,
  e.first_scan AS first_seen_scan,
  coalesce(d.last_seen, (SELECT max(r.last_scan) FROM roots r WHERE r.host_id = d.host_id
    AND (r.path = d.path OR ${
    isBelow({ ...dialect, pathKey: (path) => path }, "d.path", "r.path")
  }))) AS last_seen_scan,
  coalesce(e.changed_scan, e.first_scan) AS changed_scan${ltree}
FROM entries e JOIN directories d ON d.id = e.directory_id JOIN hosts h ON h.id = d.host_id
WHERE e.kind <> ${KIND.directory};

CREATE VIEW file_changes AS
SELECT scan_id, path, old_path, kind, old_size, new_size, ${mtime("old_mtime")} AS old_mtime,
  ${mtime("new_mtime")} AS new_mtime, old_fingerprint, new_fingerprint
FROM changes
UNION ALL
SELECT e.first_scan, d.path || '/' || e.name, NULL, 'added', NULL, e.size, NULL, ${
    mtime("e.mtime")
  }, NULL, e.fingerprint
FROM entries e JOIN directories d ON d.id = e.directory_id
WHERE e.changed_scan IS NULL AND e.kind <> ${KIND.directory};
`;
}

/**
 * Labels of `ltree` are letters, digits, `_` and `-`: other bytes are written as `_` and two hexadecimal digits,
 * and so is `_`. Staging is a partition for each scan, so that one is dropped without a trace.
 */
const POSTGRES_ONLY = String.raw`
CREATE FUNCTION label_of(name text) RETURNS text LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS $$
  SELECT string_agg(CASE WHEN c ~ '^[A-Za-z0-9-]$' THEN c
    ELSE regexp_replace(encode(convert_to(c, 'UTF8'), 'hex'), '(..)', '_\1', 'g') END, '' ORDER BY i)
  FROM unnest(string_to_array(name, NULL)) WITH ORDINALITY AS t(c, i)
$$;
CREATE FUNCTION path_to_ltree(path text) RETURNS ltree LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS $$
  SELECT coalesce(string_agg(left(label_of(name), 1000), '.' ORDER BY i), '')::ltree
  FROM unnest(string_to_array(ltrim(path, '/'), '/')) WITH ORDINALITY AS t(name, i) WHERE name <> ''
$$;
CREATE TABLE staging_directories (
  scan_id bigint NOT NULL, id bigint NOT NULL, path text COLLATE "C" NOT NULL, print text,
  files bigint NOT NULL, bytes bigint NOT NULL, known_scan bigint
) PARTITION BY LIST (scan_id);
CREATE TABLE staging_files (
  scan_id bigint NOT NULL, directory_id bigint NOT NULL, name text COLLATE "C" NOT NULL, kind smallint NOT NULL,
  size bigint NOT NULL, mtime bigint NOT NULL, inode bigint NOT NULL, first_scan bigint NOT NULL
) PARTITION BY LIST (scan_id);
`;
