/** A gateway for each identity; topics, shards of the directory and backend actors as objects. */
import { busyPart, secondsAMonth, type Usage } from "./Bill.ts"
import type { Inputs } from "./Inputs.ts"
import type { Limit } from "./Limit.ts"
import { framesAConnect, framesOf, type Rates } from "./Workload.ts"

/** The objects of one topic, as a tree, and what one publication takes. */
export interface Tree {
  readonly objects: number
  /** Seconds until the topmost object has made all calls that it has to. */
  readonly seconds: number
  /** The same of all objects together. */
  readonly busySeconds: number
}

export const treeOf = (members: number, inputs: Inputs): Tree => {
  const { ours, platform, assumed } = inputs
  const size = ours.topicNodeSize
  const call = assumed.callMs / 1_000
  const own = Math.min(members, size)
  const rest = members - own
  const ownSeconds = Math.max(call, (own * call) / platform.simultaneousCalls)
  if (rest === 0) return { objects: 1, seconds: ownSeconds, busySeconds: ownSeconds }
  // Members below are spread by their hash: so many of the objects have any.
  const branches = size * (1 - (1 - 1 / size) ** rest)
  const below = treeOf(rest / branches, inputs)
  const seconds = ownSeconds + (branches * (call + below.seconds)) / platform.simultaneousCalls
  return {
    objects: 1 + branches * below.objects,
    seconds,
    busySeconds: seconds + branches * below.busySeconds,
  }
}

/** Rounds a second: publications that come while one is under way go together in the next. */
const roundsOf = (rates: Rates, tree: Tree): number =>
  rates.topics === 0 ? 0 : Math.min(rates.publicationsATopic, 1 / tree.seconds)

const backendsOf = (rates: Rates, identities: number, { assumed }: Inputs): number =>
  rates.tells === 0 ? 0 : Math.ceil(identities / assumed.identitiesABackend)

/** The limits that objects of this topology are nearest to, at the busiest minute. */
export const gatewayLimits = (rates: Rates, identities: number, inputs: Inputs): ReadonlyArray<Limit> => {
  const { platform, ours, assumed } = inputs
  const { peak } = assumed
  const limits: Array<Limit> = []
  if (rates.topics > 0) {
    const tree = treeOf(rates.topicSize, inputs)
    limits.push({
      name: "a topic's calls at once",
      load: rates.publicationsATopic * peak,
      most: 1 / tree.seconds,
    })
  }
  if (rates.tells > 0) {
    limits.push({
      name: "requests of a backend actor",
      load: (rates.tells / backendsOf(rates, identities, inputs)) * peak,
      most: platform.requestsPerSecond,
    })
  }
  if (rates.registrations > 0) {
    const { directoryShards } = ours
    limits.push(
      {
        name: "requests of a directory shard",
        // An entry is put and taken.
        load: ((2 * rates.connects * rates.registrations) / directoryShards) * peak,
        most: platform.requestsPerSecond,
      },
      {
        name: "storage of a directory shard",
        load: (rates.sessions * rates.registrations * assumed.bytesADirectoryEntry) / directoryShards,
        most: platform.storageBytes,
      },
    )
  }
  return limits
}

/** Seconds until all are back, after a deploy closed all sockets: the object that most must reach. */
export const gatewayReturnSeconds = (rates: Rates, { platform, ours }: Inputs): number =>
  Math.max(
    1 + framesAConnect(rates),
    rates.topicSize,
    (rates.sessions * rates.registrations) / ours.directoryShards,
  ) / platform.requestsPerSecond

/** A month of all objects. */
export const gatewayUsage = (rates: Rates, identities: number, inputs: Inputs): Usage => {
  const { prices, ours, measured, assumed } = inputs
  const month = secondsAMonth(inputs)
  const tree = treeOf(rates.topicSize, inputs)
  const rounds = roundsOf(rates, tree)
  const received = rates.topics * rounds * rates.topicSize
  const topicCalls = rates.publications + received + rates.topics * rounds * (tree.objects - 1)
  const backends = backendsOf(rates, identities, inputs)
  const joinsAndPuts = rates.subscriptions + rates.registrations
  // Each is told when a session begins, and again when it has ended.
  const entries = 2 * rates.connects * joinsAndPuts
  const calls = topicCalls + rates.tells + entries
  const sweeps = rates.sessions / ours.gatewaySweepSeconds
  const alarms = sweeps + rates.connects
  // Per second and gateway: what wakes it, where nothing else came in the 10 s before.
  const events = (framesOf(rates) + received + alarms + rates.connects) / rates.sessions
  const wakeUps = events * Math.exp(-10 * events)
  const callSeconds = assumed.callMs / 1_000
  const frame = measured.frameUs / 1e6
  const own = rates.publications - rates.feeds
  const gatewayLoad =
    wakeUps * (assumed.wakeUpMs / 1_000) +
    (framesOf(rates) * frame +
      received * frame +
      // Whoever calls is billed until it has its answer, which a publication has once it went round.
      (rates.tells + entries) * callSeconds +
      own * (callSeconds + Math.min(tree.seconds, ours.topicPatienceMs / 1_000)) +
      rates.connects * (assumed.helloMs / 1_000)) /
      rates.sessions
  const backendLoad = backends === 0 ? 0 : (rates.tells * frame) / backends
  const busyObjects =
    rates.sessions * busyPart(gatewayLoad) +
    rates.topics * rounds * tree.busySeconds +
    backends * busyPart(backendLoad) +
    entries * frame
  const rowsAConnect =
    measured.gatewayRowsASession +
    measured.gatewayAlarmsASession +
    rates.subscriptions * measured.gatewayRowsASubscription +
    rates.registrations * measured.gatewayRowsARegistration
  const connects = rates.connects * month
  const directories = rates.registrations > 0 ? ours.directoryShards : 0
  return {
    objects: identities + rates.topics * tree.objects + backends + directories,
    workerRequests: connects,
    workerCpuMs: connects * assumed.workerCpuMsAConnect,
    objectRequests: connects + (framesOf(rates) / prices.framesARequest + calls + alarms) * month,
    alarms: alarms * month,
    gbSeconds: busyObjects * month * prices.gbAnObject,
    rowsRead:
      connects * measured.rowsReadAConnect + wakeUps * rates.sessions * month * measured.rowsReadAWakeUp,
    rowsWritten: connects * rowsAConnect + (rates.refreshes * measured.rowsATokenRefresh + sweeps) * month,
    storedGb:
      (identities * measured.gatewayBytes +
        rates.sessions * rates.registrations * assumed.bytesADirectoryEntry) /
      1e9,
  }
}
