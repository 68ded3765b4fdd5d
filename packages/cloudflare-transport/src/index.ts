/** What a Worker needs: the hub's Durable Object, the bridge and the Worker's entry. */
export * from "./protocol/index.ts"
export { BridgeTransport } from "./bridge/BridgeTransport.ts"
export { type BridgeHandler, type BridgeLimits, WebSocketBridge } from "./bridge/WebSocketBridge.ts"
export { SignalHub } from "./hub/SignalHub.ts"
export type { Connection } from "./session/Connection.ts"
export { type HubEnv } from "./worker/HubEnv.ts"
export { hubWorker } from "./worker/HubWorker.ts"
