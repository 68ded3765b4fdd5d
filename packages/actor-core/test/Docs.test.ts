/** The examples of the documentation that are whole programs do what the page says. */
import { execFileSync } from "node:child_process"
import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { stripTypeScriptTypes } from "node:module"
import { join, resolve } from "node:path"
import { expect, it } from "vitest"

const root = resolve(import.meta.dirname, "../../..")

it.each([["virtual-actors.md", "main.js", "2\n"]])("%s: %s prints what it says", (page, main, printed) => {
  const folder = join(root, "node_modules/.cache/docs-run", page)
  rmSync(folder, { recursive: true, force: true })
  mkdirSync(folder, { recursive: true })
  writeFileSync(join(folder, "package.json"), '{ "type": "module" }\n')
  const text = readFileSync(join(root, "docs/actor-design", page), "utf8")
  for (const [, program = ""] of text.matchAll(/^```ts\n(.*?)^```/gms)) {
    const [, file] = /^\/\/ file: (\S+)/.exec(program) ?? []
    // Node runs no TypeScript below node_modules, where the packages are found by name.
    const plain = stripTypeScriptTypes(program).replaceAll(/\.ts"/g, '.js"')
    if (file !== undefined) writeFileSync(join(folder, file.replace(/ts$/, "js")), plain)
  }
  expect(execFileSync(process.execPath, [join(folder, main)], { encoding: "utf8" })).toBe(printed)
})
