import { openKeeping } from "../../tests/support/subjects.ts";
import { treeVersionsContract } from "./tree_versions_contract.ts";

treeVersionsContract("LocalVersions", () => openKeeping((local) => local));
