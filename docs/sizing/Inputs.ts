/**
 * What the sizing model reckons with: list prices, platform limits, what was measured, what is assumed.
 * Each with its source; `npm run sizing` takes another value for any of them as a flag.
 */

/** Workers Paid, US dollars, as listed on 2026-11-21. Included amounts are per account and month. */
export interface Prices {
  readonly subscription: number
  readonly workerRequestsIncluded: number
  readonly perMillionWorkerRequests: number
  readonly workerCpuMsIncluded: number
  readonly perMillionWorkerCpuMs: number
  readonly objectRequestsIncluded: number
  readonly perMillionObjectRequests: number
  /** Incoming WebSocket messages that count as one request. */
  readonly framesARequest: number
  readonly gbSecondsIncluded: number
  readonly perMillionGbSeconds: number
  /** What an object is billed as, whatever it uses. */
  readonly gbAnObject: number
  readonly rowsReadIncluded: number
  readonly perMillionRowsRead: number
  readonly rowsWrittenIncluded: number
  readonly perMillionRowsWritten: number
  readonly storedGbIncluded: number
  readonly perGbMonth: number
}

/** What one object can do at most. */
export interface Platform {
  /** A soft limit: more is queued, then refused as overloaded. */
  readonly requestsPerSecond: number
  readonly sockets: number
  readonly memoryBytes: number
  readonly storageBytes: number
  /** Calls from one object that are under way at once. */
  readonly simultaneousCalls: number
}

/** Limits of our own: `LIMITS` and constants of the code. */
export interface Ours {
  readonly maxSessions: number
  /** Seconds between the sweeps of a hub, and of a gateway. */
  readonly hubSweepSeconds: number
  readonly gatewaySweepSeconds: number
  /** Members that one object of a topic has itself, and objects below it. */
  readonly topicNodeSize: number
  /** How long a publisher waits for a publication to be everywhere. */
  readonly topicPatienceMs: number
  readonly directoryShards: number
  /** How long the timer of an ask keeps its object awake. */
  readonly askAwakeSeconds: number
}

/** Measured on a 2-core machine: `npm run bench -- hub`, and rows by the cursors of SQLite in workerd. */
export interface Measured {
  /** Processor time of a single JSON frame and the one delivery that it causes. */
  readonly frameUs: number
  /** Processor time of each further delivery of a publication. */
  readonly deliveryUs: number
  readonly connectUs: number
  /** Of the isolate's heap, for an idle session. */
  readonly heapBytesASession: number
  /** Rows and index entries written by a session from its connect to the end of its grace period. */
  readonly rowsASession: number
  readonly rowsASubscription: number
  readonly rowsARegistration: number
  readonly rowsATokenRefresh: number
  /** The same in a gateway; with those of the topic, and of the directory. */
  readonly gatewayRowsASession: number
  readonly gatewayRowsASubscription: number
  readonly gatewayRowsARegistration: number
  readonly gatewayAlarmsASession: number
  /** Rows written once, by the first connect of an identity: its gateway's tables. */
  readonly gatewayRowsOnce: number
  readonly rowsReadAConnect: number
  readonly rowsReadAWakeUp: number
  /** The database of a hub without sessions, and that of a gateway. */
  readonly hubBytes: number
  readonly gatewayBytes: number
}

/** Neither listed nor measured. */
export interface Assumed {
  /** Busiest minute against the average. */
  readonly peak: number
  /** The part of a limit that is planned for. */
  readonly headroom: number
  /** From the upgrade until `hub:connect` has come: the object is awake. */
  readonly helloMs: number
  /** A call from one object to another, there and back. */
  readonly callMs: number
  /** Building an object that hibernated. */
  readonly wakeUpMs: number
  readonly workerCpuMsAConnect: number
  readonly tokenHours: number
  readonly rowBytesASession: number
  readonly bytesADirectoryEntry: number
  /** Identities that one backend actor serves. */
  readonly identitiesABackend: number
  readonly daysAMonth: number
}

export interface Inputs {
  readonly prices: Prices
  readonly platform: Platform
  readonly ours: Ours
  readonly measured: Measured
  readonly assumed: Assumed
}

/** Where the numbers of each group are from. */
export const SOURCES: { readonly [Group in keyof Inputs]: string } = {
  prices:
    "list prices of Workers Paid, US dollars: Cloudflare's pages _Durable Objects / Pricing_ and _Workers / Pricing_, read on 2026-11-21 from a stored copy",
  platform:
    "the pages _Durable Objects / Limits_ with its questions and answers, _Workers / Limits_ (memory) and _Durable Object State_ (sockets), read on 2026-11-21 from a stored copy",
  ours: "`LIMITS` and constants of the code, 2026-11-21",
  measured:
    "a 2-core machine, November 2026: times by `npm run bench -- hub`; rows and bytes as workerd's SQLite counts them for a session with a token; heap by V8's count in workerd, 2,000 idle sessions",
  assumed: "neither listed nor measured: replace them first",
}

export const INPUTS: Inputs = {
  prices: {
    subscription: 5,
    workerRequestsIncluded: 10e6,
    perMillionWorkerRequests: 0.3,
    workerCpuMsIncluded: 30e6,
    perMillionWorkerCpuMs: 0.02,
    objectRequestsIncluded: 1e6,
    perMillionObjectRequests: 0.15,
    framesARequest: 20,
    gbSecondsIncluded: 400e3,
    perMillionGbSeconds: 12.5,
    gbAnObject: 0.128,
    rowsReadIncluded: 25e9,
    perMillionRowsRead: 0.001,
    rowsWrittenIncluded: 50e6,
    perMillionRowsWritten: 1,
    storedGbIncluded: 5,
    perGbMonth: 0.2,
  },
  platform: {
    requestsPerSecond: 1_000,
    sockets: 32_768,
    memoryBytes: 128e6,
    storageBytes: 10e9,
    simultaneousCalls: 6,
  },
  ours: {
    maxSessions: 10_000,
    hubSweepSeconds: 60,
    gatewaySweepSeconds: 600,
    topicNodeSize: 100,
    topicPatienceMs: 200,
    directoryShards: 16,
    askAwakeSeconds: 1,
  },
  measured: {
    frameUs: 21,
    deliveryUs: 15.7,
    connectUs: 370,
    heapBytesASession: 9_000,
    rowsASession: 8,
    rowsASubscription: 3,
    rowsARegistration: 5,
    rowsATokenRefresh: 2,
    gatewayRowsASession: 5,
    gatewayRowsASubscription: 6,
    gatewayRowsARegistration: 7,
    gatewayAlarmsASession: 3,
    gatewayRowsOnce: 4,
    rowsReadAConnect: 40,
    rowsReadAWakeUp: 1,
    hubBytes: 53_248,
    gatewayBytes: 28_672,
  },
  assumed: {
    peak: 3,
    headroom: 0.5,
    helloMs: 100,
    callMs: 10,
    wakeUpMs: 2,
    workerCpuMsAConnect: 1,
    tokenHours: 1,
    rowBytesASession: 500,
    bytesADirectoryEntry: 400,
    identitiesABackend: 1_000,
    daysAMonth: 30,
  },
}
