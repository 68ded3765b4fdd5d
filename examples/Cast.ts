/** Starts those who play in an example, prints what they say, and lets its script wait for it. */
import { type ChildProcess, fork } from "node:child_process"
import { createServer } from "node:http"
import type { AddressInfo } from "node:net"
import { extname } from "node:path"
import chromium from "@sparticuz/chromium"
import * as esbuild from "esbuild"
import { type Browser, chromium as playwright, type Page } from "playwright-core"

const TYPES: { readonly [extension: string]: string } = { ".js": "text/javascript", ".css": "text/css" }

/** How long somebody is waited for, milliseconds. */
const PATIENCE = 60_000

export class Cast implements AsyncDisposable {
  #lines: Array<string> = []
  readonly #endings: Array<() => Promise<unknown>> = []
  #changed = Promise.withResolvers<void>()
  #browser: Promise<Browser> | undefined

  /** Prints the title of what happens next; what was said before is no longer waited for. */
  step(title: string): void {
    console.log(`\n${title}`)
    this.#lines = []
  }

  /** Prints a line, and remembers that it was said. */
  readonly say = (who: string, line: string): void => {
    console.log(`  ${who.padEnd(12)} ${line}`)
    this.#lines.push(`${who} ${line}`)
    this.#changed.resolve()
    this.#changed = Promise.withResolvers()
  }

  /** Resolves when `who` has said something with this text in this step. */
  async heard(who: string, text = ""): Promise<void> {
    const late = Promise.withResolvers<never>()
    const timer = setTimeout(() => {
      late.reject(new Error(`${who} did not say "${text}" within ${PATIENCE} ms`))
    }, PATIENCE)
    try {
      while (!this.#lines.some((line) => line.startsWith(`${who} `) && line.includes(text))) {
        await Promise.race([this.#changed.promise, late.promise])
      }
    } finally {
      clearTimeout(timer)
    }
  }

  /** Does this at the end; what came last goes first. */
  atEnd(ending: () => Promise<unknown>): void {
    this.#endings.push(ending)
  }

  /** A Node process that runs this file; it is here when it has said something. A message asks it to end. */
  async process(who: string, file: string, ...args: ReadonlyArray<string>): Promise<ChildProcess> {
    const child = fork(file, args)
    child.on("message", (line) => this.say(who, String(line)))
    this.atEnd(() => end(child))
    await this.heard(who)
    return child
  }

  /** A page in a real Chromium that runs this file; it is here when it has reported something. */
  async page(who: string, file: string, query: Readonly<Record<string, string>>): Promise<Page> {
    const site = await this.#site(file, new URLSearchParams(query))
    this.#browser ??= this.#launch()
    const page = await (await this.#browser).newPage()
    page.on("pageerror", (error) => this.say(who, `failed: ${error.message}`))
    await page.exposeFunction("report", (line: string) => this.say(who, line))
    await page.goto(site)
    await this.heard(who)
    return page
  }

  /** Serves the file, bundled, in a page of its own; gives the page's URL. */
  async #site(file: string, query: URLSearchParams): Promise<string> {
    const bundle = await esbuild.build({
      entryPoints: { main: file },
      bundle: true,
      format: "esm",
      splitting: true,
      outdir: "/",
      write: false,
    })
    const files = new Map(
      bundle.outputFiles.map(({ path, contents }) => [path.slice(path.lastIndexOf("/")), contents]),
    )
    const style = files.has("/main.css") ? '<link rel="stylesheet" href="/main.css">' : ""
    const html = `<!doctype html><title>${file}</title>${style}<script type="module" src="/main.js?${query}"></script>`
    const server = createServer(({ url = "/" }, response) => {
      const path = url.split("?")[0]!
      response.setHeader("Content-Type", TYPES[extname(path)] ?? "text/html; charset=utf-8")
      response.end(files.get(path) ?? html)
    })
    await new Promise<void>((listening) => server.listen(0, "127.0.0.1", listening))
    this.atEnd(() => new Promise((closed) => server.close(closed)))
    return `http://127.0.0.1:${(server.address() as AddressInfo).port}/`
  }

  async #launch(): Promise<Browser> {
    const browser = await playwright.launch({
      executablePath: await chromium.executablePath(),
      args: [
        // In one process with others, a page that is closed would take them along.
        ...chromium.args.filter((flag) => flag !== "--single-process"),
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
      ],
      headless: true,
    })
    this.atEnd(() => browser.close())
    return browser
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const ending of this.#endings.toReversed()) await ending()
  }
}

/** Asks the process to end, and waits until it has; 5 s, then it is killed. */
const end = (child: ChildProcess): Promise<void> =>
  new Promise((ended) => {
    if (child.exitCode !== null || child.signalCode !== null) return ended()
    const impatience = setTimeout(() => child.kill("SIGKILL"), 5_000)
    child.once("exit", () => {
      clearTimeout(impatience)
      ended()
    })
    if (child.connected) child.send("end")
  })
