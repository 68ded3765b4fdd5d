/** Starts those who play in the demo, prints what they say, and lets the script wait for it. */
import { type ChildProcess, fork } from "node:child_process"
import { createServer } from "node:http"
import type { AddressInfo } from "node:net"
import { join } from "node:path"
import chromium from "@sparticuz/chromium"
import * as esbuild from "esbuild"
import { chromium as playwright } from "playwright-core"

export class Cast implements AsyncDisposable {
  readonly #lines: Array<string> = []
  readonly #endings: Array<() => Promise<unknown>> = []
  #changed = Promise.withResolvers<void>()

  /** Prints a line, and remembers that it was said. */
  readonly say = (who: string, line: string): void => {
    console.log(`  ${who.padEnd(18)} ${line}`)
    this.#lines.push(`${who} ${line}`)
    this.#changed.resolve()
    this.#changed = Promise.withResolvers()
  }

  /** Resolves when `who` has said something with this text. */
  async heard(who: string, text: string): Promise<void> {
    while (!this.#lines.some((line) => line.startsWith(`${who} `) && line.includes(text))) {
      await this.#changed.promise
    }
  }

  /** Does this at the end; what came last goes first. */
  atEnd(ending: () => Promise<unknown>): void {
    this.#endings.push(ending)
  }

  /** A Node process that hosts the actor at this address. */
  async process(who: string, url: string, address: string): Promise<void> {
    const child = fork(join(import.meta.dirname, "process.ts"), [url, address])
    child.on("message", (line) => this.say(who, String(line)))
    this.atEnd(() => end(child))
    await this.heard(who, "is registered")
  }

  /** A page in a real Chromium that hosts `@(browser/page)`. */
  async page(who: string, url: string): Promise<void> {
    const bundle = await esbuild.build({
      entryPoints: [join(import.meta.dirname, "page.ts")],
      bundle: true,
      format: "esm",
      splitting: true,
      outdir: "/",
      write: false,
    })
    const files = new Map(
      bundle.outputFiles.map(({ path, contents }) => [path.slice(path.lastIndexOf("/")), contents]),
    )
    const server = createServer(({ url: path = "/" }, response) => {
      const script = files.get(path.split("?")[0]!)
      response.setHeader("Content-Type", script === undefined ? "text/html" : "text/javascript")
      const main = `/page.js?hub=${encodeURIComponent(url)}`
      response.end(
        script ??
          `<!doctype html><title>demo</title><pre></pre><script type="module" src="${main}"></script>`,
      )
    })
    await new Promise<void>((listening) => server.listen(0, "127.0.0.1", listening))
    this.atEnd(() => new Promise((closed) => server.close(closed)))

    const browser = await playwright.launch({
      executablePath: await chromium.executablePath(),
      args: [
        ...chromium.args,
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
      ],
      headless: true,
    })
    this.atEnd(() => browser.close())
    const page = await browser.newPage()
    page.on("pageerror", (error) => this.say(who, `failed: ${error.message}`))
    await page.exposeFunction("report", (line: string) => this.say(who, line))
    await page.goto(`http://127.0.0.1:${(server.address() as AddressInfo).port}/`)
    await this.heard(who, "is registered")
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const ending of this.#endings.toReversed()) await ending()
  }
}

const end = (child: ChildProcess): Promise<void> =>
  new Promise((ended) => {
    child.once("exit", () => ended())
    child.send("end")
  })
