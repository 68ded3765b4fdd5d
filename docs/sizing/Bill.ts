/** What is used in a month, and what that costs by list prices. */
import type { Inputs, Prices } from "./Inputs.ts"

export interface Usage {
  /** Objects that are there, with sockets or asleep. */
  readonly objects: number
  readonly workerRequests: number
  readonly workerCpuMs: number
  /** As billed: upgrades, calls and alarms, and the part of a request that a frame is. */
  readonly objectRequests: number
  /** Alarms among them. */
  readonly alarms: number
  readonly gbSeconds: number
  readonly rowsRead: number
  /** Rows, index entries and alarms set. */
  readonly rowsWritten: number
  readonly storedGb: number
}

export interface Bill {
  readonly worker: number
  readonly requests: number
  readonly duration: number
  readonly rows: number
  readonly storage: number
  /** With the subscription. */
  readonly total: number
}

const over = (used: number, included: number): number => Math.max(0, used - included)

/** Dollars a month. */
export const billOf = (usage: Usage, prices: Prices): Bill => {
  const worker =
    (over(usage.workerRequests, prices.workerRequestsIncluded) * prices.perMillionWorkerRequests +
      over(usage.workerCpuMs, prices.workerCpuMsIncluded) * prices.perMillionWorkerCpuMs) /
    1e6
  const requests =
    (over(usage.objectRequests, prices.objectRequestsIncluded) * prices.perMillionObjectRequests) / 1e6
  const duration = (over(usage.gbSeconds, prices.gbSecondsIncluded) * prices.perMillionGbSeconds) / 1e6
  const rows =
    (over(usage.rowsRead, prices.rowsReadIncluded) * prices.perMillionRowsRead +
      over(usage.rowsWritten, prices.rowsWrittenIncluded) * prices.perMillionRowsWritten) /
    1e6
  const storage = over(usage.storedGb, prices.storedGbIncluded) * prices.perGbMonth
  const total = prices.subscription + worker + requests + duration + rows + storage
  return { worker, requests, duration, rows, storage, total }
}

/** Prices without what is included, to see what one thing more costs. */
export const marginal = (prices: Prices): Prices => ({
  ...prices,
  subscription: 0,
  workerRequestsIncluded: 0,
  workerCpuMsIncluded: 0,
  objectRequestsIncluded: 0,
  gbSecondsIncluded: 0,
  rowsReadIncluded: 0,
  rowsWrittenIncluded: 0,
  storedGbIncluded: 0,
})

export const secondsAMonth = ({ assumed }: Inputs): number => assumed.daysAMonth * 86_400

/**
 * The part of the time that an object is busy, from its load: the sum, over what comes in, of how often
 * times how many seconds. What overlaps is billed once; what comes independently overlaps like this.
 */
export const busyPart = (load: number): number => 1 - Math.exp(-load)
