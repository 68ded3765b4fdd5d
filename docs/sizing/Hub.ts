/** Hubs, each with the sessions that it can take: by room, by tenant, or by a hash. */
import { busyPart, secondsAMonth, type Usage } from "./Bill.ts"
import type { Inputs } from "./Inputs.ts"
import { firstOf, type Limit, usedPart } from "./Limit.ts"
import { framesAConnect, framesOf, type Rates } from "./Workload.ts"

/** Seconds of processor time in a second, for all sessions together. */
const cpuOf = (rates: Rates, { measured }: Inputs): number => {
  const copies = rates.publications * Math.max(0, rates.topicSize - 1)
  return (
    (framesOf(rates) * measured.frameUs +
      copies * measured.deliveryUs +
      rates.connects * measured.connectUs) /
    1e6
  )
}

/** The limits of one hub that has so many sessions, at the busiest minute. */
export const hubLimits = (sessions: number, rates: Rates, inputs: Inputs): ReadonlyArray<Limit> => {
  const { platform, ours, measured, assumed } = inputs
  const part = (sessions / rates.sessions) * assumed.peak
  return [
    { name: "`maxSessions`", load: sessions, most: ours.maxSessions },
    { name: "sockets", load: sessions, most: platform.sockets },
    { name: "memory", load: sessions * measured.heapBytesASession, most: platform.memoryBytes },
    {
      name: "requests",
      load: part * (framesOf(rates) + rates.connects),
      most: platform.requestsPerSecond,
    },
    { name: "processor", load: part * cpuOf(rates, inputs), most: 1 },
  ]
}

/** Sessions with which a hub meets a limit. */
export const sessionsAt = (limit: Limit, sessions: number): number => Math.floor(sessions / usedPart(limit))

/** Sessions that are planned for one hub. A topic is never split. */
export const sessionsAHub = (rates: Rates, inputs: Inputs): number => {
  const first = firstOf(hubLimits(rates.sessions, rates, inputs))
  return Math.max(1, rates.topicSize, sessionsAt(first, rates.sessions) * inputs.assumed.headroom)
}

/** Seconds until all sessions of a full hub are back, after a deploy closed all sockets. */
export const hubReturnSeconds = (rates: Rates, inputs: Inputs): number => {
  const { platform, measured } = inputs
  const requests = 1 + framesAConnect(rates)
  const cpu = (measured.connectUs + framesAConnect(rates) * measured.frameUs) / 1e6
  const sessions = Math.min(rates.sessions, sessionsAHub(rates, inputs))
  return sessions * Math.max(requests / platform.requestsPerSecond, cpu)
}

/** A month of all hubs. */
export const hubUsage = (rates: Rates, identities: number, inputs: Inputs): Usage => {
  const { prices, ours, measured, assumed } = inputs
  const month = secondsAMonth(inputs)
  const hubs = Math.ceil(rates.sessions / sessionsAHub(rates, inputs))
  const connects = rates.connects * month
  const alarms = hubs * (month / ours.hubSweepSeconds)
  const load = (cpuOf(rates, inputs) + rates.connects * (assumed.helloMs / 1_000)) / hubs
  const rowsAConnect =
    measured.rowsASession +
    rates.subscriptions * measured.rowsASubscription +
    rates.registrations * measured.rowsARegistration
  return {
    objects: hubs,
    workerRequests: connects,
    workerCpuMs: connects * assumed.workerCpuMsAConnect,
    objectRequests: connects + (framesOf(rates) * month) / prices.framesARequest + alarms,
    alarms,
    gbSeconds: hubs * busyPart(load) * month * prices.gbAnObject,
    // A sweep reads all sessions.
    rowsRead: connects * measured.rowsReadAConnect + rates.sessions * (month / ours.hubSweepSeconds),
    rowsWritten: connects * rowsAConnect + rates.refreshes * month * measured.rowsATokenRefresh + alarms,
    storedGb: (hubs * measured.hubBytes + identities * assumed.rowBytesASession) / 1e9,
  }
}
