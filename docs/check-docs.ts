/**
 * Checks what the documentation says against what is there: links and anchors resolve, scripts and tests exist,
 * programs compile against the built packages and print what the page says, example envelopes are envelopes,
 * the tables of the sizing model are what it reckons, and the lists of error codes, close codes, log events and
 * the packages' entry points are complete. Prints each problem, `file:line: what`, and exits 1.
 *
 * A block ```ts is a whole program. It may name itself in its first line, `// file: name.ts` or
 * `// name.ts`: blocks of one page can import one another by that name. It is run, unless it imports what is
 * for a hub or a Worker, and must end well. A block ```text output is what the program above it prints.
 */
import { execFile, execFileSync } from "node:child_process"
import { existsSync, globSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { createRequire } from "node:module"
import { dirname, join, relative, resolve } from "node:path"
import { promisify } from "node:util"
import { DEFAULT_MODEL } from "./sizing/Model.ts"
import { tablesOf } from "./sizing/tables.ts"

const root = resolve(import.meta.dirname, "..")
const require = createRequire(import.meta.url)
/** The folders of the packages, each with a page of its own. */
const PACKAGES = ["actor-core", "cloudflare-transport"]
const cache = join(root, "node_modules/.cache/docs")
const problems: Array<string> = []

interface Block {
  readonly language: string
  /** The word after the language. */
  readonly note: string
  readonly line: number
  readonly text: string
}

interface Page {
  /** Path from the repository's root. */
  readonly path: string
  /** The text without its code blocks, each line in its place. */
  readonly prose: ReadonlyArray<string>
  readonly blocks: ReadonlyArray<Block>
  readonly anchors: ReadonlySet<string>
}

const report = (path: string, line: number, what: string): void => {
  problems.push(`${path}:${line}: ${what}`)
}

/** The anchor that GitHub gives a heading. */
const slug = (heading: string): string =>
  heading
    .replaceAll(/\[([^\]]*)\]\([^)]*\)/g, "$1")
    .toLowerCase()
    .replaceAll(/[^\p{L}\p{N}\s_-]/gu, "")
    .trim()
    .replaceAll(/\s/g, "-")

const anchorsOf = (prose: ReadonlyArray<string>): ReadonlySet<string> => {
  const anchors = new Set<string>()
  for (const line of prose) {
    const heading = /^#{1,6}\s+(.*)$/.exec(line)?.[1]
    if (heading === undefined) continue
    const base = slug(heading)
    let anchor = base
    for (let n = 1; anchors.has(anchor); n++) anchor = `${base}-${n}`
    anchors.add(anchor)
  }
  return anchors
}

const readPage = (path: string): Page => {
  const prose: Array<string> = []
  const blocks: Array<Block> = []
  let open: (Omit<Block, "text"> & { readonly text: Array<string> }) | undefined
  const lines = readFileSync(join(root, path), "utf8").split("\n")
  lines.forEach((line, index) => {
    const fence = /^\s*```(\S*)\s*(\S*)/.exec(line)
    if (fence !== null) {
      prose.push("")
      if (open === undefined) {
        open = { language: fence[1] ?? "", note: fence[2] ?? "", line: index + 1, text: [] }
      } else {
        blocks.push({ ...open, text: open.text.join("\n") })
        open = undefined
      }
    } else if (open === undefined) prose.push(line)
    else {
      prose.push("")
      open.text.push(line)
    }
  })
  if (open !== undefined) report(path, open.line, "the code block is never closed")
  return { path, prose, blocks, anchors: anchorsOf(prose) }
}

const checkLinks = (page: Page, pages: ReadonlyMap<string, Page>): void => {
  page.prose.forEach((line, index) => {
    for (const [, target = ""] of line.replaceAll(/`[^`]*`/g, "").matchAll(/\]\(([^)\s]+)[^)]*\)/g)) {
      if (/^[a-z]+:/.test(target)) continue
      const [file = "", anchor] = target.split("#")
      const path = file === "" ? page.path : relative(root, resolve(root, dirname(page.path), file))
      if (globSync(path, { cwd: root }).length === 0) report(page.path, index + 1, `no such file: ${target}`)
      else if (anchor !== undefined && pages.get(path)?.anchors.has(anchor) !== true) {
        report(page.path, index + 1, `no such heading: ${target}`)
      }
    }
  })
}

/** A test that a page names, [file](path.test.ts) `words of its name`, is there. */
const checkTests = (page: Page): void => {
  page.prose.forEach((line, index) => {
    for (const [, file = "", name = ""] of line.matchAll(/\]\(([^)\s]+\.test\.ts)\) `([^`]+)`/g)) {
      const path = resolve(root, dirname(page.path), file)
      if (existsSync(path) && !readFileSync(path, "utf8").includes(name)) {
        report(page.path, index + 1, `${file} has no test "${name}"`)
      }
    }
  })
}

const checkScripts = (page: Page, scripts: { readonly [name: string]: string }): void => {
  const lines = readFileSync(join(root, page.path), "utf8").split("\n")
  lines.forEach((line, index) => {
    for (const [, run, short] of line.matchAll(/\bnpm (?:run ([\w:-]+)|(test|start)\b)/g)) {
      const name = run ?? short ?? ""
      if (!Object.hasOwn(scripts, name)) report(page.path, index + 1, `package.json has no script "${name}"`)
    }
  })
}

/** The examples of frames: JSON, and where they look like envelopes, envelopes that the hub accepts. */
const checkFrames = async (page: Page): Promise<void> => {
  const { Envelope } = await import("@signal-hub/actor-core")
  for (const { language, line, text } of page.blocks) {
    if (language !== "json") continue
    for (const frame of text.split("\n\n")) {
      let value: unknown
      try {
        value = JSON.parse(frame)
      } catch (error) {
        report(page.path, line, `not JSON: ${String(error)}`)
        continue
      }
      for (const one of Array.isArray(value) ? value : [value]) {
        if (typeof one !== "object" || one === null || !("pattern" in one)) continue
        const envelope = Envelope.check(one)
        if (envelope instanceof Envelope.Malformed) report(page.path, line, `no envelope: ${envelope.reason}`)
      }
    }
  }
}

interface Program {
  readonly page: Page
  readonly block: Block
  /** What it prints, where the page says it. */
  output?: Block
}

/** Each page's programs in a folder of their own, compiled together; then they are run. */
const checkPrograms = async (pages: Iterable<Page>): Promise<void> => {
  rmSync(cache, { recursive: true, force: true })
  const sources = new Map<string, Program>()
  for (const page of pages) {
    let last: Program | undefined
    for (const block of page.blocks) {
      if (block.note === "output") {
        if (last === undefined) report(page.path, block.line, "there is no program above this output")
        else last.output = block
      }
      if (block.language !== "ts") continue
      const named = /^\/\/ (?:file: )?([\w./-]+\.ts)\s*$/m.exec(block.text.split("\n", 1)[0] ?? "")?.[1]
      const path = join(page.path.replaceAll(/[/.]/g, "_"), named ?? `line-${block.line}.ts`)
      if (sources.has(path)) report(page.path, block.line, `two programs of this page are named ${named}`)
      last = { page, block }
      sources.set(path, last)
      mkdirSync(dirname(join(cache, path)), { recursive: true })
      // Each is a module, with or without imports of its own.
      writeFileSync(join(cache, path), `${block.text}\nexport {}\n`)
    }
  }
  if (sources.size === 0) return
  writeFileSync(join(cache, "package.json"), '{ "type": "module" }\n')
  const compilerOptions = {
    composite: false,
    declaration: false,
    declarationMap: false,
    sourceMap: false,
    rootDir: ".",
    outDir: "out",
    noUnusedLocals: false,
    types: ["node", "@cloudflare/workers-types"],
  }
  const config = { extends: join(root, "tsconfig.base.json"), compilerOptions, files: [...sources.keys()] }
  writeFileSync(join(cache, "tsconfig.json"), JSON.stringify(config))
  try {
    execFileSync(join(root, "node_modules/.bin/tsc"), ["-p", cache, "--pretty", "false"], {
      cwd: cache,
      encoding: "utf8",
      stdio: "pipe",
    })
  } catch (error) {
    const { stdout = "" } = error as { readonly stdout?: string }
    for (const line of stdout.trim().split("\n")) {
      const [, path = "", at = "0", what = line] = /^(.+?)\((\d+),\d+\): (.*)$/.exec(line) ?? []
      const source = sources.get(path)
      if (source === undefined) problems.push(line)
      else report(source.page.path, source.block.line + Number(at), what)
    }
    return
  }
  const waiting = [...sources].filter(([path]) => runsAlone(path, sources))
  const work = async (): Promise<void> => {
    for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) await run(...next)
  }
  await Promise.all([work(), work()])
}

/** Whether neither it nor what it imports of its page needs a hub or a Worker. */
const runsAlone = (path: string, sources: ReadonlyMap<string, Program>): boolean => {
  const imports = sources.get(path)?.block.text.matchAll(/from "([^"]+)"/g) ?? []
  return [...imports].every(
    ([, from = ""]) =>
      !/^(@signal-hub\/cloudflare-transport|cloudflare:)/.test(from) &&
      (!from.startsWith(".") || runsAlone(join(dirname(path), from), sources)),
  )
}

/** Runs a compiled program: it ends well within 30 s, and prints what its page says. */
const run = async (path: string, { block, output, page }: Program): Promise<void> => {
  const compiled = join(cache, "out", path.replace(/\.ts$/, ".js"))
  try {
    const { stdout } = await promisify(execFile)(process.execPath, [compiled], { timeout: 30_000 })
    if (output !== undefined && stdout.trim() !== output.text.trim()) {
      report(page.path, output.line, `the program above prints something else:\n${stdout.trim()}`)
    }
  } catch (error) {
    report(page.path, block.line, `the program fails: ${String(error)}`)
  }
}

/** The tables of the sizing model are those that the program prints, whatever their padding. */
const checkSizing = (pages: ReadonlyMap<string, Page>): void => {
  const path = "docs/actor-design/sizing.md"
  const plain = (lines: ReadonlyArray<string>): string =>
    lines.map((line) => line.replaceAll(/ +/g, " ").replaceAll(/-+/g, "-").trim()).join("\n")
  const text = plain(pages.get(path)?.prose ?? [])
  for (const { title, lines } of tablesOf(DEFAULT_MODEL)) {
    if (!text.includes(plain(lines))) report(path, 1, `"${title}" is not what \`npm run sizing\` prints`)
  }
}

/** What may be imported of a package, each as a page writes it. */
const entriesOf = (name: string): ReadonlyArray<string> => {
  const { exports } = require(`../packages/${name}/package.json`) as {
    readonly exports: { readonly [entry: string]: unknown }
  }
  return Object.keys(exports).map((entry) => `\`@signal-hub/${name}${entry.slice(1)}\``)
}

/** The lists that must name everything there is. */
const checkLists = async (pages: ReadonlyMap<string, Page>): Promise<void> => {
  const { CLOSE_CODES, DEFAULT_LIMITS, FROM_HUB, HUB_ERRORS, REQUESTS } =
    await import("@signal-hub/cloudflare-transport/protocol")
  const source = join(root, "packages/cloudflare-transport/src")
  const events = new Set<string>()
  for (const file of globSync(
    "{auth,hub,worker,bridge,session,gateway,durable,object,delivery,topics,directory}/**/*.ts",
    { cwd: source },
  )) {
    const text = readFileSync(join(source, file), "utf8")
    const calls = /(?:\b(?:log|makeLog\([^)]*\))\(\s*"\w+",|\blogSession\()\s*"(\w+)"/g
    for (const [, event = ""] of text.matchAll(calls)) events.add(event)
  }
  const design = "docs/actor-design"
  const lists: ReadonlyArray<readonly [path: string, names: Iterable<string>]> = [
    [`${design}/errors.md`, Object.keys(HUB_ERRORS)],
    [`${design}/errors.md`, Object.keys(CLOSE_CODES)],
    [`${design}/protocol.md`, [...Object.keys(REQUESTS), ...Object.keys(FROM_HUB)]],
    [`${design}/operations.md`, events],
    [`${design}/operations.md`, Object.keys(DEFAULT_LIMITS)],
    ...PACKAGES.map((name) => [`packages/${name}/README.md`, entriesOf(name)] as const),
  ]
  for (const [path, names] of lists) {
    const text = pages.get(path)?.prose.join("\n") ?? ""
    for (const wanted of names) {
      if (!new RegExp(`(?<![\\w:])${wanted}(?!\\w)`).test(text)) report(path, 1, `does not mention ${wanted}`)
    }
  }
}

const pages = new Map(
  ["README.md", ...globSync(["packages/*/README.md", "docs/**/*.md"], { cwd: root }).toSorted()].map(
    (path) => [path, readPage(path)],
  ),
)
const { scripts } = require("../package.json") as {
  readonly scripts: { readonly [name: string]: string }
}
for (const page of pages.values()) {
  checkLinks(page, pages)
  checkTests(page)
  checkScripts(page, scripts)
  await checkFrames(page)
}
await checkPrograms(pages.values())
checkSizing(pages)
await checkLists(pages)

if (problems.length > 0) {
  console.error(problems.join("\n"))
  console.error(`\n${problems.length} problem${problems.length === 1 ? "" : "s"} in the documentation`)
  process.exitCode = 1
} else console.log(`${pages.size} pages: links, scripts, programs, frames, tables and lists are right`)
