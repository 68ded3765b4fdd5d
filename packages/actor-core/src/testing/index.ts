/** What tests of actors need: probes, a dispatcher in their hands, a transport with faults, and a suite for transports. */
export { withJumps } from "./JumpingClock.ts"
export { makeRandom, type Random } from "./Random.ts"
export { TestDispatcher, type TestDispatcherOptions } from "./TestDispatcher.ts"
export * as TestProbe from "./TestProbe.ts"
export { pass, settle } from "./TestTime.ts"
export * as FaultyTransport from "./FaultyTransport.ts"
export * as TransportConformance from "./TransportConformance.ts"
