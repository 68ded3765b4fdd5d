/**
 * A publication to many sockets: through the objects of a topic to a gateway for each, beside one object
 * that loops over as many sockets, and our hub, which is one object too. All in one process, so what it
 * costs is compared; that objects of a deployment run side by side is not.
 */
import { existsSync } from "node:fs"
import { mkdtemp, rm } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import type { Options, Row } from "../Suite.ts"
import { makeEnvelope, makePayload, TYPE } from "../lib/envelope.ts"
import { connectPlainly, HUB } from "../lib/protocolClient.ts"
import { expecting, type Requester, requester } from "../lib/requester.ts"
import { median } from "../lib/statistics.ts"
import { openFiles, processorTime } from "../lib/usage.ts"
import type { Workerd } from "../lib/workerd.ts"
import { startByHand } from "../subjects/gatewayByHand.ts"
import { gatewayUrl, startGateways } from "../subjects/gatewayServer.ts"

/** Open files that workerd has for a gateway that is awake: its socket, twice, and its database. */
const FILES_A_GATEWAY = 5
const MOST = Math.floor((openFiles() / FILES_A_GATEWAY - 500) / 1_000) * 1_000
/** Subscribers, growing: at last 10,000, or as many thousands as a process may have open files for. */
const SIZES = [100, 1_000, Math.min(10_000, MOST)]
/** Publications of each size, one after the other, after one that wakes whoever sleeps. */
const PUBLICATIONS = 7
/** Connects under way at a time. */
const CONNECTING = 50
const TOPIC = "bench"
const MEMORY = "/dev/shm"

interface TopicSubject {
  readonly name: string
  readonly start: (storage: string) => Promise<Workerd>
  /** A socket that takes part. */
  readonly join: (server: Workerd, n: number) => Promise<Requester>
  /** To all of them. */
  readonly publish: (publisher: Requester) => void
}

const subscribe = async (url: string, identity: string): Promise<Requester> => {
  const client = await connectPlainly(url, identity)
  await expecting("hub:subscribed", client.request(HUB, "hub:subscribe", { topic: TOPIC }))
  return client
}

const publish = (publisher: Requester): void => {
  const envelope = makeEnvelope(HUB, { topic: TOPIC, type: TYPE, data: makePayload(0) })
  publisher.send({ ...envelope, type: "hub:publish" })
}

const BASELINE = "by hand"

const subjects: ReadonlyArray<TopicSubject> = [
  {
    name: BASELINE,
    start: startByHand,
    join: ({ port }) => requester(`ws://127.0.0.1:${port}/room`),
    publish: (publisher) => publisher.send(makeEnvelope("*", makePayload(0))),
  },
  {
    name: "signal-hub",
    start: startGateways,
    join: (server, n) => subscribe(gatewayUrl(server, `@(bench/s${n})`), `@(bench/s${n})`),
    publish,
  },
  {
    name: "signal-hub (one hub)",
    start: startGateways,
    join: ({ port }, n) => subscribe(`ws://127.0.0.1:${port}/ws`, `@(bench/s${n})`),
    publish,
  },
]

interface Slice {
  readonly milliseconds: number
  /** Microseconds of the server, for each delivery. */
  readonly cpu: number
}

/** By size. Who publishes is a subscriber too. */
const measure = async (subject: TopicSubject): Promise<ReadonlyMap<number, Slice>> => {
  // In memory where there is such a folder: making thousands of databases is not what is measured.
  const storage = await mkdtemp(join(existsSync(MEMORY) ? MEMORY : tmpdir(), "signal-hub-topics-"))
  await using stack = new AsyncDisposableStack()
  stack.defer(() => rm(storage, { recursive: true, force: true }))
  const server = stack.use(await subject.start(storage))
  const slices = new Map<number, Slice>()
  let [arrived, expected, arrive] = [0, Number.POSITIVE_INFINITY, () => {}]
  let publisher: Requester | undefined
  let joined = 0
  const joinUpTo = async (size: number): Promise<void> => {
    while (joined < size) {
      const client = stack.use(await subject.join(server, joined++))
      publisher ??= client
      // What arrives is counted and not looked at: the client is not what is measured.
      client.socket.removeAllListeners("message")
      client.socket.on("message", () => {
        if (++arrived === expected) arrive()
      })
    }
  }
  const once = async (size: number): Promise<Slice> => {
    const all = new Promise<void>((resolve) => {
      arrive = resolve
    })
    ;[arrived, expected] = [0, size]
    const [time, cpu] = [performance.now(), processorTime(server.pid)]
    subject.publish(publisher!)
    await all
    const milliseconds = performance.now() - time
    return { milliseconds, cpu: (processorTime(server.pid) - cpu) / size }
  }
  for (const size of SIZES) {
    await Promise.all(Array.from({ length: CONNECTING }, () => joinUpTo(size)))
    await once(size)
    const of: Array<Slice> = []
    for (let n = 0; n < PUBLICATIONS; n++) of.push(await once(size))
    slices.set(size, {
      milliseconds: median(of.map(({ milliseconds }) => milliseconds)),
      // Together, as the system tells it to 10 ms.
      cpu: of.reduce((sum, { cpu }) => sum + cpu, 0) / of.length,
    })
  }
  return slices
}

export const topics = async ({ rounds, log }: Options): Promise<ReadonlyArray<Row>> => {
  const measured = new Map<string, Array<ReadonlyMap<number, Slice>>>()
  for (let round = 0; round < rounds; round++) {
    for (const subject of subjects) {
      log(`round ${round + 1}/${rounds}: topics of ${subject.name}`)
      measured.set(subject.name, [...(measured.get(subject.name) ?? []), await measure(subject)])
    }
  }
  const rowsOf = (metric: string, unit: string, size: number, of: keyof Slice): ReadonlyArray<Row> => {
    const valuesOf = (name: string) => measured.get(name)!.map((slices) => slices.get(size)![of])
    const bases = valuesOf(BASELINE)
    return subjects.map(({ name: subject }) => {
      const values = valuesOf(subject)
      const ratio = median(values.map((value, round) => value / bases[round]!))
      return {
        suite: "gateway",
        metric,
        subject,
        unit,
        value: median(values),
        baseline: median(bases),
        ratio,
      }
    })
  }
  return SIZES.flatMap((size) =>
    rowsOf(`topic_publish_${size}`, "ms", size, "milliseconds").concat(
      rowsOf(`topic_publish_${size}_cpu`, "µs/delivery", size, "cpu"),
    ),
  )
}
