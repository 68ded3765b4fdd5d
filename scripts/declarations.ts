/** The exported declarations of a package: whether each has a doc comment, and what they are called. */
import { globSync, readFileSync } from "node:fs"
import { basename, dirname, join } from "node:path"
import { parseSync } from "oxc-parser"
import type { Counts } from "./exceptions.ts"

/** An exported declaration. */
export interface Declaration {
  readonly name: string
  /** The text of its doc comment; `undefined`: it has none. */
  readonly comment: string | undefined
}

/** The part of a node of the syntax tree that is read. */
interface Node {
  readonly type: string
  readonly start: number
  readonly declaration?: Node | null
  readonly declarations?: ReadonlyArray<{ readonly id: { readonly name?: string } }>
  readonly id?: { readonly name?: string } | null
}

const namesOf = (declaration: Node): ReadonlyArray<string> =>
  declaration.declarations?.flatMap(({ id }) => id.name ?? []) ?? [declaration.id?.name ?? "default"]

/** The exported declarations of a source, in order. Of an overloaded function the first counts. */
export const declarationsIn = (source: string): ReadonlyArray<Declaration> => {
  const { comments, errors, program } = parseSync("source.ts", source)
  if (errors.length > 0) throw new Error(errors[0]!.message)
  const found = new Map<string, Declaration>()
  for (const node of program.body as unknown as ReadonlyArray<Node>) {
    if (!node.type.startsWith("Export") || node.declaration == null) continue
    const doc = comments.find(
      ({ end, type, value }) =>
        type === "Block" &&
        value.startsWith("*") &&
        end <= node.start &&
        source.slice(end, node.start).trim() === "",
    )
    for (const name of namesOf(node.declaration)) {
      if (!found.has(name)) found.set(name, { name, comment: doc?.value })
    }
  }
  return [...found.values()]
}

const FILLERS = new Set("a an and as at by for from in is it its of on or that the this to with".split(" "))

/** The words of an identifier or of a comment, in lower case, in the singular. */
const wordsIn = (text: string): ReadonlyArray<string> =>
  (text.match(/[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+/g) ?? []).map((word) => word.toLowerCase().replace(/s$/, ""))

/** Whether a declaration has a comment that says more than its name does. */
export const isDocumented = ({ comment, name }: Declaration): boolean => {
  const known = new Set(wordsIn(name))
  return wordsIn(comment ?? "").some((word) => !FILLERS.has(word) && !known.has(word))
}

/** Names of the vocabulary page that have given way to the field's terms: as whole names. */
const RETIRED = new Set(
  [
    "Elsewhere Neighbors Outside SureLanes SendingRows Numbers Notices Courier Owed Letters Watermarks Whereabouts",
    "TableReach Reach Place Shards Intake Unconnected Marks Slices Pauses Replies ClaimsChange Wanted Pace SocketLife",
    "Attempt Core Channel Family Kin Ending Incarnation Turns Border Asking Duties Then",
  ]
    .join(" ")
    .toLowerCase()
    .split(" "),
)
/** The same as a part of any longer name, as no term of the field has them. */
const RETIRED_PARTS =
  /Elsewhere|Neighbou?r|Whereabouts|Courier|Watermark|SureLane|Unconnected|Incarnation|SocketLife|Host$|HostOptions$|(?:^|_)(?:MOST|AGAIN|SOON|LATE|PATIENCE|BUSY)(?:_|$)/

/** Whether a file or a declaration may no longer be called so. */
export const isRetired = (name: string): boolean =>
  RETIRED.has(name.toLowerCase()) || RETIRED_PARTS.test(name)

const sourcesBelow = (root: string): ReadonlyArray<string> =>
  globSync("packages/*/src/**/*.ts", { cwd: root })
    .filter((file) => !file.endsWith(".d.ts"))
    .toSorted()

/** By file: how many exported declarations have no doc comment. */
export const undocumented = (root: string): Counts => {
  const counts: { [file: string]: number } = {}
  for (const file of sourcesBelow(root)) {
    const missing = declarationsIn(readFileSync(join(root, file), "utf8")).filter((one) => !isDocumented(one))
    if (missing.length > 0) counts[file] = missing.length
  }
  return counts
}

/** Files, folders and exported declarations that have a name of the table. */
export const retiredNames = (root: string): Counts => {
  const counts: { [place: string]: number } = {}
  for (const file of sourcesBelow(root)) {
    for (const part of [...dirname(file).split("/"), basename(file, ".ts")]) {
      if (isRetired(part)) counts[file] = 1
    }
    for (const { name } of declarationsIn(readFileSync(join(root, file), "utf8"))) {
      if (isRetired(name)) counts[`${file} ${name}`] = 1
    }
  }
  return counts
}
