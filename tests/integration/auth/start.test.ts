/** `npm start -- --var …`, as a newcomer runs it: closed without keys, and at work with them. */
import { spawn } from "node:child_process"
import { mkdtempSync, rmSync } from "node:fs"
import { createServer as createHttpServer } from "node:http"
import { createServer, type AddressInfo } from "node:net"
import { tmpdir } from "node:os"
import { join, resolve } from "node:path"
import { describe, expect, it } from "vitest"
import { expectError } from "../support/expectations.ts"
import { RawClient } from "../support/RawClient.ts"
import { hs256, SECRET } from "../support/tokens.ts"

const START = resolve(import.meta.dirname, "../../../examples/hub/start.ts")

const freePort = async (): Promise<number> => {
  const server = createServer()
  await new Promise<void>((listening) => server.listen(0, "127.0.0.1", listening))
  const { port } = server.address() as AddressInfo
  await new Promise((closed) => server.close(closed))
  return port
}

/** Runs the hub with these variables while `use` does, which gets its URL and what it has printed. */
const withHub = async (
  vars: ReadonlyArray<string>,
  use: (url: string, printed: () => string) => Promise<void>,
): Promise<void> => {
  const port = await freePort()
  const state = mkdtempSync(join(tmpdir(), "signal-hub-start-"))
  const args = [START, "--persist-to", state, ...vars.flatMap((each) => ["--var", each])]
  const hub = spawn(process.execPath, args, { env: { ...process.env, PORT: String(port) } })
  const ended = new Promise((resolveEnd) => hub.on("exit", resolveEnd))
  let printed = ""
  try {
    await new Promise<void>((up, failed) => {
      for (const stream of [hub.stdout, hub.stderr]) {
        stream.on("data", (data: Buffer) => {
          printed += data.toString()
          if (printed.includes("The hub is up")) up()
        })
      }
      void ended.then(() => failed(new Error(`it ended: ${printed}`)))
    })
    await use(`ws://127.0.0.1:${port}/ws`, () => printed)
  } finally {
    hub.kill("SIGTERM")
    await ended
    rmSync(state, { recursive: true, force: true })
  }
}

/** Ends what is left of the process group. */
const endGroup = (leader: number): void => {
  try {
    process.kill(-leader, "SIGKILL")
  } catch {
    // Nothing is left.
  }
}

describe("npm start", { timeout: 60_000 }, () => {
  it("fault 27: with AUTH_MODE:token and no keys refuses each connection 4401; the log says what to set", () =>
    withHub(["AUTH_MODE:token"], async (url, printed) => {
      const headers = { Authorization: `Bearer ${hs256({ actorId: "test/ada" })}` }
      for (const options of [{}, { headers }, { protocols: ["signal-hub.json"] }]) {
        const client = await RawClient.open(url, options)
        expectError(await client.expect("hub:error"), "unauthorized")
        expect(await client.closeFrame).toBe(4401)
        client.terminate()
      }
      await expect.poll(printed).toContain("set JWT_SECRET, JWKS or JWKS_URL")
    }))

  it("with JWT_SECRET lets those in whose tokens it signed", () =>
    withHub(["AUTH_MODE:token", `JWT_SECRET:${SECRET}`], async (url) => {
      const open = (text: string) => RawClient.open(url, { headers: { Authorization: `Bearer ${text}` } })
      const ada = await open(hs256({ actorId: "test/ada" }))
      const connected = await ada.handshake({ identity: null })
      expect(connected.metadata.actorIdentity).toBe("@(test/ada)")
      const forged = await open(hs256({ actorId: "test/ada" }, "another secret of the same length"))
      expectError(await forged.expect("hub:error"), "unauthorized")
      ada.terminate()
      forged.terminate()
    }))

  it("ends with the npm that ran it, which does not pass on that it was told to end", async () => {
    const port = await freePort()
    const state = mkdtempSync(join(tmpdir(), "signal-hub-start-"))
    // As npm runs a script: in a shell, which the signal ends.
    const script = `"${process.execPath}" "${START}" --persist-to "${state}"; exit`
    const env = { ...process.env, PORT: String(port), npm_lifecycle_event: "start" }
    const shell = spawn("sh", ["-c", script], { env, detached: true, stdio: ["ignore", "pipe", "inherit"] })
    const isUp = () =>
      fetch(`http://127.0.0.1:${port}/health`).then(
        ({ ok }) => ok,
        () => false,
      )
    try {
      await expect.poll(isUp, { timeout: 30_000 }).toBe(true)
      shell.kill("SIGTERM")
      await expect.poll(isUp, { timeout: 20_000 }).toBe(false)
      // Its output ends with the last process that has it open.
      await new Promise((resolveEnd) => shell.stdout.on("close", resolveEnd).resume())
    } finally {
      endGroup(shell.pid!)
      rmSync(state, { recursive: true, force: true })
    }
  })

  it.each([
    ["any server", { status: "ok" }],
    ["another hub", { status: "ok", service: "signal-hub", version: "0.1.0", timestamp: 0 }],
  ])("fault 64: on a port that %s has, fails and says so, whatever its health page says", async (_, page) => {
    const other = createHttpServer((_request, response) => {
      response.setHeader("Content-Type", "application/json")
      response.end(JSON.stringify(page))
    })
    await new Promise<void>((listening) => other.listen(0, "127.0.0.1", listening))
    const port = String((other.address() as AddressInfo).port)
    const hub = spawn(process.execPath, [START], { env: { ...process.env, PORT: port } })
    let printed = ""
    for (const stream of [hub.stdout, hub.stderr]) stream.on("data", (data) => (printed += String(data)))
    try {
      const code = await new Promise((ended) => hub.on("close", ended))
      expect(printed).not.toContain("The hub is up")
      expect(printed).toContain(`can't be served on port ${port}: another program listens there`)
      expect(code).toBe(1)
    } finally {
      hub.kill("SIGKILL")
      await new Promise((closed) => other.close(closed))
    }
  })

  it.each(["abc", "0", "70000"])("PORT=%s is refused with what it must be", async (port) => {
    const hub = spawn(process.execPath, [START], { env: { ...process.env, PORT: port } })
    let printed = ""
    hub.stderr.on("data", (data) => (printed += String(data)))
    expect(await new Promise((ended) => hub.on("close", ended))).toBe(1)
    expect(printed).toContain("it must be a number from 1 to 65535")
  })

  it("as it is shipped is open, and its log says so", () =>
    withHub([], async (url, printed) => {
      const client = await RawClient.connect(url)
      await expect.poll(printed).toContain("auth_mode_open")
      client.terminate()
    }))
})
