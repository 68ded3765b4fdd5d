/** What a million more of one thing costs by list prices, in dollars. What is included is used up. */
import { billOf, marginal, type Usage } from "./Bill.ts"
import type { Inputs } from "./Inputs.ts"
import { treeOf } from "./Gateway.ts"

const MILLION = 1e6
const NOTHING: Usage = {
  objects: 0,
  workerRequests: 0,
  workerCpuMs: 0,
  objectRequests: 0,
  alarms: 0,
  gbSeconds: 0,
  rowsRead: 0,
  rowsWritten: 0,
  storedGb: 0,
}

export interface UnitPrice {
  readonly name: string
  readonly hub: number
  readonly gateway: number
}

/** Subscribers of the publication in the list. */
const SUBSCRIBERS = 10

export const unitPrices = (inputs: Inputs): ReadonlyArray<UnitPrice> => {
  const { prices, ours, measured, assumed } = inputs
  const frame = 1 / prices.framesARequest
  const frameSeconds = measured.frameUs / 1e6
  const callSeconds = assumed.callMs / 1_000
  const awake = (seconds: number): number => seconds * prices.gbAnObject
  const dollars = (one: Partial<Usage>): number =>
    billOf({ ...NOTHING, ...one }, marginal(prices)).total * MILLION
  const tree = treeOf(SUBSCRIBERS, inputs)
  const connect = {
    workerRequests: 1,
    workerCpuMs: assumed.workerCpuMsAConnect,
    objectRequests: 1 + frame,
    gbSeconds: awake(assumed.helloMs / 1_000),
    rowsRead: measured.rowsReadAConnect,
  }
  return [
    {
      name: "sessions, from connect to end",
      hub: dollars({ ...connect, rowsWritten: measured.rowsASession }),
      gateway: dollars({
        ...connect,
        objectRequests: connect.objectRequests + 1,
        rowsWritten: measured.gatewayRowsASession + measured.gatewayAlarmsASession,
      }),
    },
    {
      name: "messages, one to one",
      hub: dollars({ objectRequests: frame, gbSeconds: awake(frameSeconds) }),
      gateway: dollars({
        objectRequests: frame + 1,
        gbSeconds: awake(callSeconds + 2 * frameSeconds),
      }),
    },
    {
      name: `publications to ${SUBSCRIBERS}`,
      hub: dollars({
        objectRequests: frame,
        gbSeconds: awake(frameSeconds + ((SUBSCRIBERS - 1) * measured.deliveryUs) / 1e6),
      }),
      gateway: dollars({
        objectRequests: frame + 1 + SUBSCRIBERS,
        gbSeconds: awake(callSeconds + tree.seconds + tree.busySeconds + (1 + SUBSCRIBERS) * frameSeconds),
      }),
    },
    {
      name: "asks, where nothing else keeps the object awake",
      hub: dollars({ objectRequests: 2 * frame, gbSeconds: awake(ours.askAwakeSeconds) }),
      gateway: dollars({ objectRequests: 2 * frame + 2, gbSeconds: awake(2 * ours.askAwakeSeconds) }),
    },
    {
      name: "hours of an idle session",
      hub: dollars({ rowsRead: 3_600 / ours.hubSweepSeconds }),
      gateway: dollars({
        objectRequests: 3_600 / ours.gatewaySweepSeconds,
        rowsWritten: 3_600 / ours.gatewaySweepSeconds,
      }),
    },
    {
      name: "token refreshes",
      hub: dollars({ objectRequests: frame, rowsWritten: measured.rowsATokenRefresh }),
      gateway: dollars({ objectRequests: frame, rowsWritten: measured.rowsATokenRefresh }),
    },
    {
      name: "identities, for the first time",
      hub: 0,
      gateway: dollars({ rowsWritten: measured.gatewayRowsOnce }),
    },
    {
      name: "identities stored for a month",
      hub: dollars({ storedGb: assumed.rowBytesASession / 1e9 }),
      gateway: dollars({ storedGb: measured.gatewayBytes / 1e9 }),
    },
  ]
}
