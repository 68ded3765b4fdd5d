/** Each check of `npm run check:structure` finds the fault that it is for. */
import { spawnSync } from "node:child_process"
import { cpSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { dirname, join } from "node:path"
import { expect, onTestFinished, test } from "vitest"
import { declarationsIn, isDocumented, retiredNames, undocumented } from "../declarations.ts"
import { differences } from "../exceptions.ts"
import { layerViolations } from "../layers.ts"

const ROOT = join(import.meta.dirname, "../..")
const SRC = "packages/cloudflare-transport/src"

/** A folder of these files, for as long as the test runs. */
const folderOf = (files: { readonly [path: string]: string }): string => {
  const root = mkdtempSync(join(tmpdir(), "signal-hub-checks-"))
  onTestFinished(() => rmSync(root, { recursive: true }))
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(dirname(join(root, path)), { recursive: true })
    writeFileSync(join(root, path), text)
  }
  return root
}

test("an import against the layering is found, by its file and what it imports", () => {
  const root = folderOf({
    [`${SRC}/session/Session.ts`]: 'import type { Hub } from "../hub/Hub.ts"\nexport type A = Hub\n',
    [`${SRC}/hub/Hub.ts`]: 'import type { Frame } from "../protocol/Frame.ts"\nexport type Hub = Frame\n',
    [`${SRC}/hub/features/topics.ts`]: 'export { x } from "../../gateway/x.ts"\n',
    [`${SRC}/client/Client.ts`]: 'import { limits } from "../object/limits.ts"\nexport const a = limits\n',
    "packages/actor-core/src/File.ts":
      'import { readFileSync } from "node:fs"\nexport const a = readFileSync\n',
  })
  expect(Object.keys(layerViolations(root)).toSorted()).toEqual([
    "packages/actor-core/src/File.ts imports node:fs",
    `${SRC}/client/Client.ts imports ../object/limits.ts`,
    `${SRC}/hub/features/topics.ts imports ../../gateway/x.ts`,
    `${SRC}/session/Session.ts imports ../hub/Hub.ts`,
  ])
})

test("files that import each other are found, unless they import types only", () => {
  const root = folderOf({
    [`${SRC}/hub/a.ts`]: 'import { b } from "./b.ts"\nexport const a = () => b\n',
    [`${SRC}/hub/b.ts`]: 'import { a } from "./a.ts"\nexport const b = () => a\n',
    [`${SRC}/hub/c.ts`]: 'import type { D } from "./d.ts"\nexport const c = 1 as D\n',
    [`${SRC}/hub/d.ts`]: 'import { c } from "./c.ts"\nexport type D = number\nexport const d = c\n',
  })
  expect(layerViolations(root)).toEqual({
    [`${SRC}/hub/a.ts is in a circle`]: 1,
    [`${SRC}/hub/b.ts is in a circle`]: 1,
  })
})

test("a declaration without a comment is found, and one whose comment repeats its name", () => {
  const source = `
    export const bare = 1
    // No doc comment.
    export class Plain {}
    /** The session store. */
    export interface SessionStore {}
    /** Sessions by their identity, as rows. */
    export interface Sessions {}
    /** Adds one. */
    export function add(n: number): number
    export function add(n: string): string
    export function add(n: unknown): unknown { return n }
    const own = 1
    export { own }
  `
  const found = declarationsIn(source).filter((one) => !isDocumented(one))
  expect(found.map(({ name }) => name)).toEqual(["bare", "Plain", "SessionStore"])
  const root = folderOf({ [`${SRC}/hub/a.ts`]: source })
  expect(undocumented(root)).toEqual({ [`${SRC}/hub/a.ts`]: 3 })
})

test("names that have given way to the field's terms are found in paths and declarations", () => {
  const root = folderOf({
    [`${SRC}/hub/Elsewhere.ts`]: "export const isElsewhere = 1\nexport const fine = 2\n",
    [`${SRC}/hub/Fine.ts`]:
      "export interface HubHost {}\nexport const MOST_CALLS = 6\nexport class DeadLetters {}\n",
    [`${SRC}/hub/Core.ts`]: "export const hostname = 1\nexport const ALMOST = 1\n",
  })
  expect(Object.keys(retiredNames(root)).toSorted()).toEqual([
    `${SRC}/hub/Core.ts`,
    `${SRC}/hub/Elsewhere.ts`,
    `${SRC}/hub/Elsewhere.ts isElsewhere`,
    `${SRC}/hub/Fine.ts HubHost`,
    `${SRC}/hub/Fine.ts MOST_CALLS`,
  ])
})

test("a list of exceptions only shrinks: one that is not needed is a fault, as is one more violation", () => {
  expect(differences({ a: 1, b: 2 }, { a: 1, b: 2 })).toEqual([])
  expect(differences({ a: 2 }, { a: 1 })).toEqual(["a: 2, of which 1 are excepted"])
  expect(differences({ c: 1 }, {})).toEqual(["c: 1, of which 0 are excepted"])
  expect(differences({}, { a: 1 })).toEqual([
    "a: excepted 1 times, found 0 times: lower it in scripts/exceptions.json",
  ])
})

test("an unused export and an unused file are found", () => {
  const root = folderOf({
    "package.json": JSON.stringify({ name: "root", private: true, workspaces: ["packages/*"] }),
    "packages/actor-core/package.json": JSON.stringify({
      name: "a",
      type: "module",
      exports: "./src/index.ts",
    }),
    "packages/actor-core/src/index.ts": 'export { used } from "./used.ts"\n',
    "packages/actor-core/src/used.ts": "export const used = 1\nexport const forgotten = 2\n",
    "packages/actor-core/src/lonely.ts": "export const lonely = 1\n",
  })
  cpSync(join(ROOT, "knip.json"), join(root, "knip.json"))
  symlinkSync(join(ROOT, "node_modules"), join(root, "node_modules"))
  const { status, stdout } = spawnSync(join(ROOT, "node_modules/.bin/knip"), [], {
    cwd: root,
    encoding: "utf8",
  })
  expect(status).toBe(1)
  expect(stdout).toContain("packages/actor-core/src/lonely.ts")
  expect(stdout).toMatch(/forgotten\s+packages\/actor-core\/src\/used.ts/)
  expect(stdout).not.toMatch(/^used\b/m)
})
