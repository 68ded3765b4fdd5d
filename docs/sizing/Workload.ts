/** What identities do: rates that a deployment knows of itself. And what they come to, per second. */
import type { Inputs } from "./Inputs.ts"

export interface Workload {
  /** The part of all identities that is connected at a typical moment. */
  readonly connected: number
  /** Connects of each identity, reconnects among them. */
  readonly connectsPerDay: number
  /** Messages of each connected identity to a backend actor. */
  readonly tellsPerMinute: number
  /** Publications of each connected identity on its topic. */
  readonly publishesPerMinute: number
  /** Publications on each topic from elsewhere. */
  readonly feedsPerMinute: number
  /** Connected subscribers of a topic; 0: there are no topics. */
  readonly topicSize: number
  /** Addresses that each session registers. */
  readonly registers: number
}

export const WORKLOADS = {
  chat: {
    connected: 0.2,
    connectsPerDay: 4,
    tellsPerMinute: 0,
    publishesPerMinute: 1,
    feedsPerMinute: 0,
    topicSize: 10,
    registers: 0,
  },
  devices: {
    connected: 0.9,
    connectsPerDay: 2,
    tellsPerMinute: 6,
    publishesPerMinute: 0,
    feedsPerMinute: 0,
    topicSize: 0,
    registers: 1,
  },
  dashboards: {
    connected: 0.05,
    connectsPerDay: 3,
    tellsPerMinute: 0,
    publishesPerMinute: 0,
    feedsPerMinute: 60,
    topicSize: 1_000,
    registers: 0,
  },
} satisfies { readonly [name: string]: Workload }

/** Averages of all identities together; rates are per second. */
export interface Rates {
  readonly sessions: number
  readonly connects: number
  /** Subscriptions of a session: 0 or 1. */
  readonly subscriptions: number
  readonly registrations: number
  readonly refreshes: number
  readonly tells: number
  readonly topics: number
  readonly topicSize: number
  /** On one topic. */
  readonly publicationsATopic: number
  /** On all topics, by connected identities and from elsewhere. */
  readonly publications: number
  readonly feeds: number
}

export const ratesOf = (workload: Workload, identities: number, { assumed }: Inputs): Rates => {
  const sessions = identities * workload.connected
  const topicSize = Math.min(workload.topicSize, sessions)
  const topics = topicSize === 0 ? 0 : sessions / topicSize
  const feedsATopic = workload.feedsPerMinute / 60
  const publicationsATopic = (topicSize * workload.publishesPerMinute) / 60 + feedsATopic
  return {
    sessions,
    connects: (identities * workload.connectsPerDay) / 86_400,
    subscriptions: topicSize === 0 ? 0 : 1,
    registrations: workload.registers,
    refreshes: sessions / (assumed.tokenHours * 3_600),
    tells: (sessions * workload.tellsPerMinute) / 60,
    topics,
    topicSize,
    publicationsATopic,
    publications: topics * publicationsATopic,
    feeds: topics * feedsATopic,
  }
}

/** Frames that a session sends to come in: `hub:connect`, and what it wants then. */
export const framesAConnect = ({ subscriptions, registrations }: Rates): number =>
  1 + subscriptions + registrations

/** All frames that arrive, per second. */
export const framesOf = (rates: Rates): number =>
  rates.connects * framesAConnect(rates) + rates.refreshes + rates.tells + rates.publications
